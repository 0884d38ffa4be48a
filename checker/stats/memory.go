package stats

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// count returns how many distinct ids there are, and how many of them ever
// exceeded as many of the heap limits as the index says, or more: at 0 those that
// told a heap.
func (r *Rollup) count() (ids int64, exceed []int64) {
	exceed = make([]int64, len(heapLimits)+1)
	classes := slices.Sorted(maps.Keys(r.classes))
	var sum IDs
	for i, class := range slices.Backward(classes) {
		sum.Merge(r.classes[class])
		ids = max(ids, sum.Count())
		below := 0
		if i > 0 {
			below = classes[i-1]
		}
		for n := below; n < min(class, len(exceed)); n++ {
			exceed[n] = ids
		}
	}
	return ids, exceed
}

// heaps is how many there are in one bucket.
type heaps struct {
	bucket int
	count  int64
}

// lastBucket is that of the largest heap there can be.
var lastBucket = HeapBucket(math.MaxInt64)

func heapsOf(h Heaps) []heaps {
	all := make([]heaps, 0, len(h.counts))
	for bucket, n := range h.counts {
		all = append(all, heaps{min(max(bucket, -1), lastBucket), n})
	}
	return all
}

// pile is the heaps of several builds, and how many ids told one. It does what
// Heaps does, for many more at a time.
type pile struct {
	ids, total int64
	counts     []int64 // of the buckets from -1 on
}

func (p *pile) add(b *build) {
	p.ids += b.exceed[0]
	for _, h := range b.heaps {
		p.grow(h.bucket + 2)
		p.counts[h.bucket+1] += h.count
		p.total += h.count
	}
}

func (p *pile) merge(other *pile) {
	p.grow(len(other.counts))
	for i, n := range other.counts {
		p.counts[i] += n
	}
	p.ids += other.ids
	p.total += other.total
}

func (p *pile) grow(size int) {
	if missing := size - len(p.counts); missing > 0 {
		p.counts = append(p.counts, make([]int64, missing)...)
	}
}

// piles sorts the heaps of all builds into n piles.
func (v *View) piles(n int, of func(*build) int) []pile {
	all := make([]pile, n)
	for i := range v.builds {
		all[of(&v.builds[i])].add(&v.builds[i])
	}
	return all
}

// quantile is that of [Heaps.Quantile].
func (p *pile) quantile(q float64) float64 {
	rank := int64(q * float64(p.total-1))
	for i, n := range p.counts {
		if rank -= n; rank < 0 {
			return HeapOf(i - 1)
		}
	}
	return math.NaN()
}

// quantiles are several as values of a table, from the lowest up.
func (p *pile) quantiles(qs ...float64) []any {
	values := make([]any, len(qs))
	next, seen := 0, int64(0)
	for i, n := range p.counts {
		for seen += n; next < len(qs) && int64(qs[next]*float64(p.total-1)) < seen; next++ {
			values[next] = HeapOf(i - 1)
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
		for n, ids := range v.builds[i].exceed {
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
