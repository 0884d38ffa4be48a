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
		if p.usage == (usage{}) && p.reports == 0 {
			continue // there are only checks
		}
		v.addUsed(t, []any{p.OS, p.Arch}, p.usage, p.reports, v.mostUsed(counts[i]), heaps[i].p95())
	}
}

// versionsOn returns the usage by platform and version.
func (v *View) versionsOn() [][]usage {
	counts := make([][]usage, len(v.usedPlatforms))
	for i := range counts {
		counts[i] = make([]usage, len(v.usedVersions))
	}
	for i := range v.builds {
		b := &v.builds[i]
		counts[b.platform.index][b.version.index].add(usage{b.Instances, b.installations})
	}
	return counts
}

// mostUsed returns the version with the most installations or instances, as a value of a
// table: the newest if there are several.
func (v *View) mostUsed(used []usage) any {
	most := slices.MaxFunc(used, usage.compare)
	return orNil(v.usedVersions[slices.Index(used, most)].name, most != usage{})
}

func (v *View) platformVersions(t *Table) {
	for i, used := range v.versionsOn() {
		p := v.usedPlatforms[i]
		for index, n := range used {
			if n != (usage{}) {
				v.addPart(t, []any{p.OS, p.Arch, v.usedVersions[index].name}, n, p.usage)
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
	used := map[string]usage{}
	for _, p := range v.usedPlatforms {
		n := used[of(p)]
		n.add(p.usage)
		used[of(p)] = n
	}
	for _, name := range slices.SortedFunc(maps.Keys(used), func(a, b string) int { return cmp.Or(used[b].compare(used[a]), cmp.Compare(a, b)) }) {
		if n := used[name]; n != (usage{}) {
			v.addUsed(t, []any{name}, n)
		}
	}
}
