package stats

import (
	"fmt"
	"slices"

	"relcheck/checker/stats/rollup"
)

// heapSum has the heaps of several builds.
type heapSum struct {
	instances int64 // that reported a heap
	rollup.Heaps
}

func (p *heapSum) add(b *build) {
	p.instances += b.Distinct.Exceed[0]
	p.Merge(b.Heaps)
}

// p95 returns the 95th percentile as a value of a table.
func (p *heapSum) p95() any { return orNil(p.Quantile(0.95), p.Total() > 0) }

// heapSums adds up the heaps of all builds in n groups. The function group returns the index
// of a build's group.
func (v *View) heapSums(n int, group func(*build) int) []heapSum {
	all := make([]heapSum, n)
	for i := range v.builds {
		all[group(&v.builds[i])].add(&v.builds[i])
	}
	return all
}

func (v *View) heap(t *Table) {
	type cell struct{ version, platform int }
	all := v.heapSums(1, func(*build) int { return 0 })
	versions := v.heapSums(len(v.usedVersions), func(b *build) int { return b.version.index })
	platforms := v.heapSums(len(v.usedPlatforms), func(b *build) int { return b.platform.index })
	cells := map[cell]*heapSum{}
	for i := range v.builds {
		b := &v.builds[i]
		at := cell{b.version.index, b.platform.index}
		if cells[at] == nil {
			cells[at] = new(heapSum)
		}
		cells[at].add(b)
	}

	heapRow(t, &all[0], nil, nil, nil)
	for i := range versions {
		heapRow(t, &versions[i], v.usedVersions[i].name, nil, nil)
	}
	for i, p := range v.usedPlatforms {
		heapRow(t, &platforms[i], nil, p.OS, p.Arch)
	}
	for i, u := range v.usedVersions {
		for j, p := range v.usedPlatforms {
			if heaps := cells[cell{i, j}]; heaps != nil {
				heapRow(t, heaps, u.name, p.OS, p.Arch)
			}
		}
	}
}

func heapRow(t *Table, p *heapSum, version, os, arch any) {
	if p.Total() > 0 {
		q := p.Quantiles(0.5, 0.9, 0.95, 0.99)
		t.addRow(version, os, arch, p.instances, p.Total(), q[0], q[1], q[2], q[3])
	}
}

func (v *View) heapHistogram(t *Table) {
	p := v.heapSums(1, func(*build) int { return 0 })[0]
	for _, b := range p.Bars() {
		t.addRow(b.From, b.To, b.InstanceDays, share(b.InstanceDays, p.Total()))
	}
}

func (v *View) heapAbove(t *Table) {
	heapLimits := rollup.HeapLimits()
	exceed := make([]int64, len(heapLimits)+1)
	for i := range v.builds {
		for n, instances := range v.builds[i].Distinct.Exceed {
			exceed[n] += instances
		}
	}
	reported := exceed[0]
	if reported == 0 {
		return
	}
	if reported < v.instances {
		t.addNote(fmt.Sprintf("instances that reported no heap: %d", v.instances-reported))
	}
	first, last, requested := 0, len(heapLimits)-1, -1
	for i := range heapLimits {
		if exceed[i+1] == reported {
			first = i
		}
		if exceed[i+1] == 0 {
			last = i
			break
		}
	}
	if v.Query.Above > 0 {
		requested = slices.Index(heapLimits, rollup.NearestLimit(v.Query.Above))
	}
	for i, limit := range heapLimits {
		if first <= i && i <= last || i == requested {
			t.addRow(float64(limit), exceed[i+1], share(exceed[i+1], v.instances))
		}
	}
}
