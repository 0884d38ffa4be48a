package stats

import (
	"fmt"
	"slices"

	"relcheck/checker/stats/rollup"
)

// heapSum has the heaps of several builds.
type heapSum struct {
	instances     int64 // that reported a heap
	installations int64 // of builds with heaps, on the days of meanDays
	rollup.Heaps
}

func (p *heapSum) add(b *build) {
	p.instances += b.Distinct.Exceed[0]
	if b.Heaps.Total() > 0 {
		p.installations += b.installations
	}
	p.Merge(b.Heaps)
}

// p95 returns the 95th percentile as a value of a table.
func (p *heapSum) p95() any { return orNil(p.Quantile(0.95), p.Total() > 0) }

// reporters returns how many reported a heap: the instances, and the installations of a mean
// day, which are counted with at least as many heaps.
func (v *View) reporters(p *heapSum) int64 {
	return p.instances + p.installations/int64(max(1, v.meanDays().Days()))
}

// heapSums adds up the heaps of all builds in n groups. The function group returns the index
// of a build's group.
func (v *View) heapSums(n int, group func(*build) int) []heapSum {
	all := make([]heapSum, n)
	for i := range v.builds {
		all[group(&v.builds[i])].add(&v.builds[i])
	}
	return all
}

func (v *View) allHeaps() heapSum { return v.heapSums(1, func(*build) int { return 0 })[0] }

func (v *View) heap(t *Table) {
	const all = -1
	type group struct{ version, platform int } // indexes, or all
	sums := map[group]*heapSum{}
	for i := range v.builds {
		b := &v.builds[i]
		version, platform := b.version.index, b.platform.index
		for _, g := range []group{{all, all}, {version, all}, {all, platform}, {version, platform}} {
			if sums[g] == nil {
				sums[g] = new(heapSum)
			}
			sums[g].add(b)
		}
	}
	add := func(g group, version, os, arch any) {
		if p := sums[g]; p != nil && p.Total() > 0 {
			q := p.Quantiles(0.5, 0.9, 0.95, 0.99)
			t.addRow(version, os, arch, p.instances, p.Total(), q[0], q[1], q[2], q[3])
		}
	}
	add(group{all, all}, nil, nil, nil)
	for i, u := range v.usedVersions {
		add(group{i, all}, u.name, nil, nil)
	}
	for i, p := range v.usedPlatforms {
		add(group{all, i}, nil, p.OS, p.Arch)
	}
	for i, u := range v.usedVersions {
		for j, p := range v.usedPlatforms {
			add(group{i, j}, u.name, p.OS, p.Arch)
		}
	}
}

func (v *View) heapHistogram(t *Table) {
	p := v.allHeaps()
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
	heaps, days := v.allHeaps(), make([]int64, len(heapLimits))
	for i, limit := range heapLimits {
		days[i] = heaps.Above(limit)
	}
	counts, reported := exceed[1:], exceed[0]
	if v.remembers {
		counts, reported = days, heaps.Total()
	}
	if reported == 0 {
		return
	}
	if unknown := v.instances - exceed[0]; unknown > 0 {
		t.addNote(fmt.Sprintf("instances that reported no heap: %d", unknown))
	}
	first, last, requested := 0, len(heapLimits)-1, -1
	for i := range heapLimits {
		if counts[i] == reported {
			first = i
		}
		if counts[i] == 0 {
			last = i
			break
		}
	}
	if v.Query.Above > 0 {
		requested = slices.Index(heapLimits, rollup.NearestLimit(v.Query.Above))
	}
	for i, limit := range heapLimits {
		if first <= i && i <= last || i == requested {
			t.addRow(float64(limit), exceed[i+1], share(exceed[i+1], v.instances), days[i], share(days[i], heaps.Total()))
		}
	}
}
