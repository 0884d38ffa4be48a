package stats

import (
	"fmt"
	"slices"

	"relcheck/checker/stats/rollup"
)

// heapSum is the heaps of several builds, and how many ids told one.
type heapSum struct {
	instances int64
	rollup.Heaps
}

func (p *heapSum) add(b *build) {
	p.instances += b.Distinct.Exceed[0]
	p.Merge(b.Heaps)
}

// p95 is the 95th percentile as a value of a table.
func (p *heapSum) p95() any { return orNil(p.Quantile(0.95), p.Total() > 0) }

// heapSums sorts the heaps of all builds into n piles.
func (v *View) heapSums(n int, of func(*build) int) []heapSum {
	all := make([]heapSum, n)
	for i := range v.builds {
		all[of(&v.builds[i])].add(&v.builds[i])
	}
	return all
}

func (v *View) heap(t *Table) {
	type cell struct{ version, platform int }
	one := v.heapSums(1, func(*build) int { return 0 })
	versions := v.heapSums(len(v.used), func(b *build) int { return b.version.place })
	platforms := v.heapSums(len(v.hosts), func(b *build) int { return b.platform.place })
	cells := map[cell]*heapSum{}
	for i := range v.builds {
		b := &v.builds[i]
		at := cell{b.version.place, b.platform.place}
		if cells[at] == nil {
			cells[at] = new(heapSum)
		}
		cells[at].add(b)
	}

	heapRow(t, &one[0], nil, nil, nil)
	for i := range versions {
		heapRow(t, &versions[i], v.used[i].name, nil, nil)
	}
	for i, p := range v.hosts {
		heapRow(t, &platforms[i], nil, p.OS, p.Arch)
	}
	for i, used := range v.used {
		for j, p := range v.hosts {
			if pile := cells[cell{i, j}]; pile != nil {
				heapRow(t, pile, used.name, p.OS, p.Arch)
			}
		}
	}
}

func heapRow(t *Table, p *heapSum, version, os, arch any) {
	if p.Total() > 0 {
		q := p.Quantiles(0.5, 0.9, 0.95, 0.99)
		t.row(version, os, arch, p.instances, p.Total(), q[0], q[1], q[2], q[3])
	}
}

func (v *View) heapHistogram(t *Table) {
	p := v.heapSums(1, func(*build) int { return 0 })[0]
	for _, b := range p.Bars() {
		t.row(b.From, b.To, b.InstanceDays, share(b.InstanceDays, p.Total()))
	}
}

func (v *View) heapAbove(t *Table) {
	heapLimits := rollup.HeapLimits()
	exceed := make([]int64, len(heapLimits)+1)
	for i := range v.builds {
		for n, ids := range v.builds[i].Distinct.Exceed {
			exceed[n] += ids
		}
	}
	told := exceed[0]
	if told == 0 {
		return
	}
	if told < v.ids {
		t.remark(fmt.Sprintf("instances that reported no heap: %d", v.ids-told))
	}
	first, last, asked := 0, len(heapLimits)-1, -1
	for i := range heapLimits {
		if exceed[i+1] == told {
			first = i
		}
		if exceed[i+1] == 0 {
			last = i
			break
		}
	}
	if v.Query.Above > 0 {
		asked = slices.Index(heapLimits, rollup.NearestLimit(v.Query.Above))
	}
	for i, limit := range heapLimits {
		if first <= i && i <= last || i == asked {
			t.row(float64(limit), exceed[i+1], share(exceed[i+1], v.ids))
		}
	}
}
