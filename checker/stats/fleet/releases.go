package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// Releases returns the releases up to the fleet's last day, from the oldest version to
// the newest.
func (f Fleet) Releases() []catalog.Release {
	f = f.defaults()
	all := slices.Clone(f.Published)
	if all == nil {
		all = f.generateReleases()
	}
	all = slices.DeleteFunc(all, func(r catalog.Release) bool {
		return !r.Date.IsZero() && rollup.DayOf(r.Date) > f.End
	})
	for i, r := range f.Product.Rank(all) {
		all[len(all)-1-i] = r.Release
	}
	return all
}

// generateReleases generates releases from 200 days before the fleet's first day on: a
// minor release every four to five weeks, patches of some of them, and a major release
// with two release candidates. One release is withdrawn, one has no date, and the tag of
// one has no leading v.
func (f Fleet) generateReleases() (all []catalog.Release) {
	random := rand.New(rand.NewPCG(f.Seed, 1))
	add := func(at time.Time, tag string) *catalog.Release {
		all = append(all, catalog.Release{Tag: tag, Date: at})
		return &all[len(all)-1]
	}
	minors := (f.Days + 200) / 32
	at := (f.End - rollup.Day(f.Days+200)).Time().Add(15 * time.Hour)
	for i := range minors {
		line, patches := fmt.Sprintf("v0.%d.", 50+i), random.IntN(3)
		switch major := minors * 2 / 3; {
		case i == major:
			add(at.AddDate(0, 0, -20), "v1.0.0-rc.1").Prerelease = true
			add(at.AddDate(0, 0, -9), "v1.0.0-rc.2").Prerelease = true
			fallthrough
		case i > major:
			line = fmt.Sprintf("v1.%d.", i-major)
		}
		switch minor := add(at, line+"0"); i {
		case 3:
			minor.Date = time.Time{}
		case 5:
			minor.Tag = minor.Tag[1:]
		case minors - 3:
			minor.Withdrawn = true
		}
		for patch := range patches {
			add(at.AddDate(0, 0, 5+9*patch), fmt.Sprintf("%s%d", line, patch+1))
		}
		at = at.AddDate(0, 0, 28+random.IntN(9))
	}
	return all
}
