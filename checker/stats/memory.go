package stats

import (
	"fmt"
	"slices"
)

// pile is the heaps of several builds, and how many ids told one.
type pile struct {
	ids int64
	Heaps
}

func (p *pile) add(b *build) {
	p.ids += b.Distinct.Exceed[0]
	p.Merge(b.Heaps)
}

// piles sorts the heaps of all builds into n piles.
func (v *View) piles(n int, of func(*build) int) []pile {
	all := make([]pile, n)
	for i := range v.builds {
		all[of(&v.builds[i])].add(&v.builds[i])
	}
	return all
}

// quantiles are several as values of a table, from the lowest up.
func (p *pile) quantiles(qs ...float64) []any {
	values := make([]any, len(qs))
	next, seen := 0, int64(0)
	for bucket, n := range p.All() {
		for seen += n; next < len(qs) && rank(qs[next], p.total) < seen; next++ {
			values[next] = HeapOf(bucket)
		}
	}
	return values
}

func (v *View) heap(t *Table) {
	type cell struct{ version, platform int }
	one := v.piles(1, func(*build) int { return 0 })
	versions := v.piles(len(v.used), func(b *build) int { return b.version.place })
	platforms := v.piles(len(v.hosts), func(b *build) int { return b.platform.place })
	cells := map[cell]*pile{}
	for i := range v.builds {
		b := &v.builds[i]
		at := cell{b.version.place, b.platform.place}
		if cells[at] == nil {
			cells[at] = new(pile)
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

func heapRow(t *Table, p *pile, version, os, arch any) {
	if p.total > 0 {
		q := p.quantiles(0.5, 0.9, 0.95, 0.99)
		t.row(version, os, arch, p.ids, p.total, q[0], q[1], q[2], q[3])
	}
}

func (v *View) heapAbove(t *Table) {
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
		t.remark(fmt.Sprintf("ids that told no heap: %d", v.ids-told))
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
		asked = slices.Index(heapLimits, NearestLimit(v.Query.Above))
	}
	for i, limit := range heapLimits {
		if first <= i && i <= last || i == asked {
			t.row(float64(limit), exceed[i+1], share(exceed[i+1], v.ids))
		}
	}
}
