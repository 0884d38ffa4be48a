package stats

import (
	"slices"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// published are the releases of a product, as versions are judged by them.
type published struct {
	all    []*release // newest first
	byKey  map[string]*release
	latest *release // nil when there is none
	stable int64    // how many are neither pre-releases nor withdrawn
}

// release is one of them.
type release struct {
	catalog.Release
	key   string // its canonical version
	newer int64  // how many of the stable ones are newer
}

// version is what builds of one version have in common, however they spell it.
type version struct {
	name    string   // as it is shown
	key     string   // its canonical form; empty for what is no semantic version
	judged  string   // what it counts as, see [published.judge]
	release *release // nil when it is none
	place   int      // in the view's order

	ids, reports int64
}

func publishedOf(releases []catalog.Release) published {
	p := published{byKey: map[string]*release{}}
	for _, r := range releases {
		key := checker.Canonical(r.Version)
		if key == "" || p.byKey[key] != nil {
			continue // stores keep no such
		}
		p.byKey[key] = &release{Release: r, key: key}
		p.all = append(p.all, p.byKey[key])
	}
	slices.SortFunc(p.all, func(a, b *release) int { return checker.Compare(b.key, a.key) })
	for _, r := range p.all {
		r.newer = p.stable
		if r.Prerelease || r.Withdrawn {
			continue
		}
		p.stable++
		if p.latest == nil {
			p.latest = r
		}
	}
	return p
}

// shown returns how a version that was reported, or asked for, is shown.
func (p *published) shown(v string) string {
	key := checker.Canonical(v)
	switch r := p.byKey[key]; {
	case r != nil:
		return r.Version
	case key != "":
		return key
	}
	return v
}

func (p *published) version(v string) *version {
	key := checker.Canonical(v)
	return &version{name: p.shown(v), key: key, judged: p.judge(key), release: p.byKey[key]}
}

// judge returns the version that a canonical one counts as where it is compared:
// itself when it was published, else its core. A vendor's v0.21.0-istio is as new
// as v0.21.0.
func (p *published) judge(key string) string {
	if p.byKey[key] != nil {
		return key
	}
	return checker.Core(key)
}

// behind returns how many stable releases are newer than a version, and false
// when that cannot be told.
func (p *published) behind(v *version) (n int64, known bool) {
	if v.judged == "" || p.latest == nil {
		return 0, false
	}
	i, _ := slices.BinarySearchFunc(p.all, v.judged, func(r *release, judged string) int {
		return checker.Compare(judged, r.key)
	})
	if i == len(p.all) {
		return p.stable, true
	}
	return p.all[i].newer, true
}

// daysBehind returns how many days before the latest release that of a version
// was published, and false when that cannot be told. A fix of an old line that
// came after the latest release is not behind.
func (p *published) daysBehind(v *version) (n int64, known bool) {
	if v.judged == "" || p.latest == nil {
		return 0, false
	}
	if checker.Compare(v.judged, p.latest.key) >= 0 {
		return 0, true
	}
	own := p.byKey[v.judged]
	if own == nil || own.Date.IsZero() || p.latest.Date.IsZero() {
		return 0, false
	}
	return max(0, int64(rollup.DayOf(p.latest.Date)-rollup.DayOf(own.Date))), true
}

// released is the day of a release as a value of a table.
func (r *release) released() any {
	if r == nil || r.Date.IsZero() {
		return nil
	}
	return rollup.DayOf(r.Date)
}

// ladder returns the versions that can be compared, from the newest down.
func ladder(all []*version) (rungs []*version) {
	for _, v := range all {
		if v.judged != "" {
			rungs = append(rungs, v)
		}
	}
	slices.SortStableFunc(rungs, func(a, b *version) int { return checker.Compare(b.judged, a.judged) })
	return rungs
}

// rungs returns how many of a ladder are no older than a canonical version.
func rungs(ladder []*version, key string) int {
	n, _ := slices.BinarySearchFunc(ladder, key, func(v *version, key string) int {
		if checker.Compare(v.judged, key) >= 0 {
			return -1
		}
		return 1
	})
	return n
}
