package stats

import (
	"cmp"
	"maps"
	"slices"
)

func (v *View) platforms(t *Table) {
	heaps := v.heapSums(len(v.usedPlatforms), func(b *build) int { return b.platform.index })
	counts := v.versionsOn()
	for i, p := range v.usedPlatforms {
		if p.instances == 0 && p.reports == 0 {
			continue // there are only checks
		}
		t.addRow(p.OS, p.Arch, p.instances, share(p.instances, v.instances), p.reports, v.mostUsed(counts[i]), heaps[i].p95())
	}
}

// versionsOn returns the number of instances by platform and version.
func (v *View) versionsOn() [][]int64 {
	counts := make([][]int64, len(v.usedPlatforms))
	for i := range counts {
		counts[i] = make([]int64, len(v.usedVersions))
	}
	for i := range v.builds {
		b := &v.builds[i]
		counts[b.platform.index][b.version.index] += b.Instances
	}
	return counts
}

// mostUsed returns the version with the most instances, as a value of a table: the newest if
// there are several.
func (v *View) mostUsed(instances []int64) any {
	most := slices.Max(instances)
	return orNil(v.usedVersions[slices.Index(instances, most)].name, most > 0)
}

func (v *View) platformVersions(t *Table) {
	for i, instances := range v.versionsOn() {
		p := v.usedPlatforms[i]
		for index, n := range instances {
			if n > 0 {
				t.addRow(p.OS, p.Arch, v.usedVersions[index].name, n, share(n, p.instances))
			}
		}
	}
}

// checks adds up the checks by version, newest first, and platform.
func (v *View) checks(t *Table) {
	counts, all := map[[2]int]int64{}, int64(0) // by the indexes of version and platform
	for i := range v.builds {
		b := &v.builds[i]
		for _, c := range b.Days {
			if c.Checks > 0 && v.Query.Contains(c.Day) {
				counts[[2]int{b.version.index, b.platform.index}] += c.Checks
				all += c.Checks
			}
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(counts), func(a, b [2]int) int { return slices.Compare(a[:], b[:]) }) {
		p := v.usedPlatforms[at[1]]
		t.addRow(v.usedVersions[at[0]].name, p.OS, p.Arch, counts[at], share(counts[at], all))
	}
}

func (v *View) os(t *Table)   { v.addParts(t, func(p *platform) string { return p.OS }) }
func (v *View) arch(t *Table) { v.addParts(t, func(p *platform) string { return p.Arch }) }

// addParts adds up the platforms by operating system or architecture, most used first.
func (v *View) addParts(t *Table, of func(*platform) string) {
	instances := map[string]int64{}
	for _, p := range v.usedPlatforms {
		instances[of(p)] += p.instances
	}
	names := slices.SortedFunc(maps.Keys(instances), func(a, b string) int {
		return cmp.Or(cmp.Compare(instances[b], instances[a]), cmp.Compare(a, b))
	})
	for _, name := range names {
		if n := instances[name]; n > 0 {
			t.addRow(name, n, share(n, v.instances))
		}
	}
}
