package stats

import (
	"cmp"
	"maps"
	"slices"
)

func (v *View) platforms(t *Table) {
	piles := v.heapSums(len(v.hosts), func(b *build) int { return b.platform.place })
	grid := v.versionsOn()
	for i, p := range v.hosts {
		if p.ids == 0 && p.reports == 0 {
			continue // it was only asked from
		}
		t.row(p.OS, p.Arch, p.ids, share(p.ids, v.ids), p.reports, v.mostUsed(grid[i]), piles[i].p95())
	}
}

// versionsOn returns how many ids each version has on each platform.
func (v *View) versionsOn() [][]int64 {
	grid := make([][]int64, len(v.hosts))
	for i := range grid {
		grid[i] = make([]int64, len(v.used))
	}
	for i := range v.builds {
		b := &v.builds[i]
		grid[b.platform.place][b.version.place] += b.ids
	}
	return grid
}

// mostUsed returns the version with the most ids, the newest of several, or nil
// when there is none.
func (v *View) mostUsed(ids []int64) any {
	most := slices.Max(ids)
	return orNil(v.used[slices.Index(ids, most)].name, most > 0)
}

func (v *View) platformVersions(t *Table) {
	for i, ids := range v.versionsOn() {
		p := v.hosts[i]
		for place, n := range ids {
			if n > 0 {
				t.row(p.OS, p.Arch, v.used[place].name, n, share(n, p.ids))
			}
		}
	}
}

func (v *View) os(t *Table)   { v.byPart(t, osOf) }
func (v *View) arch(t *Table) { v.byPart(t, archOf) }

func osOf(p *platform) string   { return p.OS }
func archOf(p *platform) string { return p.Arch }

func (v *View) byPart(t *Table, of func(*platform) string) {
	for _, part := range v.parts(of) {
		if part.ids > 0 {
			t.row(part.name, part.ids, share(part.ids, v.ids))
		}
	}
}

// part is one half of some platforms' names.
type part struct {
	name string
	ids  int64
}

// parts sums up the platforms by one half of their names, most used first.
func (v *View) parts(of func(*platform) string) (all []part) {
	ids := map[string]int64{}
	for _, p := range v.hosts {
		ids[of(p)] += p.ids
	}
	for _, name := range slices.Sorted(maps.Keys(ids)) {
		all = append(all, part{name, ids[name]})
	}
	slices.SortStableFunc(all, func(a, b part) int { return cmp.Compare(b.ids, a.ids) })
	return all
}
