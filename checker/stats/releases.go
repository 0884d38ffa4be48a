package stats

import (
	"cmp"
	"math"
	"slices"

	"relcheck/checker"
)

// releases are those of a product, as versions are judged by them.
type releases struct {
	all    []*release // newest first
	byKey  map[string]*release
	latest *release // nil when there is none
}

// release is one of them.
type release struct {
	checker.Release
	key   string // its canonical version
	newer int64  // how many releases are newer, stable and not withdrawn
}

// version is what builds of one version have in common, however they spell it.
type version struct {
	name    string   // as it is shown
	key     string   // its canonical form; empty for what is no semantic version
	judged  string   // what it counts as, see [releases.judge]
	release *release // nil when it is none
	place   int      // in the view's order
	ids     int64
	reports int64
}

func newReleases(all []checker.Release) releases {
	r := releases{byKey: map[string]*release{}}
	for _, one := range all {
		key := checker.Canonical(one.Version)
		if key == "" || r.byKey[key] != nil {
			continue
		}
		r.byKey[key] = &release{Release: one, key: key}
		r.all = append(r.all, r.byKey[key])
	}
	slices.SortFunc(r.all, func(a, b *release) int { return checker.Compare(b.key, a.key) })
	newer := int64(0)
	for _, one := range r.all {
		one.newer = newer
		if !one.Prerelease && !one.Withdrawn {
			newer++
			if r.latest == nil {
				r.latest = one
			}
		}
	}
	return r
}

// shown returns how a version that was reported is shown.
func (r *releases) shown(reported string) string {
	key := checker.Canonical(reported)
	if release := r.byKey[key]; release != nil {
		return release.Version
	}
	return cmp.Or(key, reported)
}

func (r *releases) version(reported string) *version {
	key := checker.Canonical(reported)
	return &version{name: r.shown(reported), key: key, judged: r.judge(key), release: r.byKey[key]}
}

// judge returns the version that a canonical one counts as where it is compared:
// itself when it was released, else its core. A vendor's v0.21.0-istio is as new
// as v0.21.0.
func (r *releases) judge(key string) string {
	if r.byKey[key] != nil {
		return key
	}
	return checker.Core(key)
}

// behind returns how many stable releases are newer than a version, and false
// when that cannot be told.
func (r *releases) behind(judged string) (n int64, ok bool) {
	if judged == "" || r.latest == nil {
		return 0, false
	}
	for _, one := range r.all {
		if checker.Compare(one.key, judged) <= 0 {
			return one.newer, true
		}
		n = one.newer
		if !one.Prerelease && !one.Withdrawn {
			n++
		}
	}
	return n, true
}

// daysBehind returns how many days before the latest release that of a version
// was published, and false when that cannot be told.
func (r *releases) daysBehind(judged string) (n int64, ok bool) {
	if judged == "" || r.latest == nil {
		return 0, false
	}
	if checker.Compare(judged, r.latest.key) >= 0 {
		return 0, true
	}
	own := r.byKey[judged]
	if own == nil || own.Date.IsZero() || r.latest.Date.IsZero() {
		return 0, false
	}
	return max(0, int64(DayOf(r.latest.Date)-DayOf(own.Date))), true
}

// released is the day of a release as a value of a table.
func (r *release) released() any {
	if r == nil || r.Date.IsZero() {
		return nil
	}
	return DayOf(r.Date)
}

// sortVersions puts the newest first, and what is no semantic version at the end.
func sortVersions(all []*version) {
	slices.SortFunc(all, func(a, b *version) int {
		return cmp.Or(checker.Compare(b.key, a.key), cmp.Compare(a.name, b.name))
	})
	for i, one := range all {
		one.place = i
	}
}

// number is n as a value of a table, if it is known.
func number(n int64, known bool) any {
	if !known {
		return nil
	}
	return n
}

// bytes is a heap as a value of a table; NaN when it is not known.
func bytes(n float64) any {
	if math.IsNaN(n) {
		return nil
	}
	return n
}
