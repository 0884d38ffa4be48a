package stats

import (
	"cmp"
	"slices"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// published has the releases of a product, to compare versions with.
type published struct {
	all    []*release // newest first
	byKey  map[string]*release
	latest *release // nil if there is none
	stable int64    // number of releases that are neither pre-releases nor withdrawn
}

// release is a release of the product.
type release struct {
	catalog.Release
	key   string // canonical version
	newer int64  // number of newer stable releases
}

// version has the counts of the builds of a version, in all its spellings.
type version struct {
	name      string   // for display
	key       string   // canonical form; empty if it is not a semantic version
	effective string   // see [published.effectiveVersion]
	line      string   // minor line, or [rollup.Other]
	release   *release // nil if it is unreleased
	index     int      // in View.usedVersions

	instances, reports int64
}

func newPublished(releases []catalog.Release) published {
	p := published{byKey: map[string]*release{}}
	for _, r := range releases {
		key := checker.Canonical(r.Version)
		if key == "" || p.byKey[key] != nil {
			continue // stores do not have these
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

// released reports whether a version is a release.
func (p *published) released(v string) bool { return p.byKey[checker.Canonical(v)] != nil }

// displayName returns how a version of a report or query is shown: in the spelling of its
// release, or else in canonical form.
func (p *published) displayName(v string) string {
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
	return &version{name: p.displayName(v), key: key, effective: p.effectiveVersion(key), line: cmp.Or(Line(key), rollup.Other), release: p.byKey[key]}
}

// effectiveVersion returns the version that stands for a canonical version in comparisons:
// a release for itself, and the core for any other version. A vendor's v0.21.0-istio is as
// new as v0.21.0.
func (p *published) effectiveVersion(key string) string {
	if p.byKey[key] != nil {
		return key
	}
	return checker.Core(key)
}

// behind returns the number of stable releases that are newer than a version, and whether
// it is known.
func (p *published) behind(v *version) (n int64, known bool) {
	if v.effective == "" || p.latest == nil {
		return 0, false
	}
	i, _ := slices.BinarySearchFunc(p.all, v.effective, func(r *release, effective string) int {
		return checker.Compare(effective, r.key)
	})
	if i == len(p.all) {
		return p.stable, true
	}
	return p.all[i].newer, true
}

// daysBehind returns how many days before the latest release a version was released, and
// whether that is known. A fix of an old line that was released after the latest release
// is 0 days behind.
func (p *published) daysBehind(v *version) (n int64, known bool) {
	if v.effective == "" || p.latest == nil {
		return 0, false
	}
	if checker.Compare(v.effective, p.latest.key) >= 0 {
		return 0, true
	}
	own := p.byKey[v.effective]
	if own == nil || own.Date.IsZero() || p.latest.Date.IsZero() {
		return 0, false
	}
	return max(0, int64(rollup.DayOf(p.latest.Date)-rollup.DayOf(own.Date))), true
}

// day returns the day of a release as a value of a table.
func (r *release) day() any {
	if r == nil || r.Date.IsZero() {
		return nil
	}
	return rollup.DayOf(r.Date)
}

// newestFirst returns the versions that can be compared, sorted by effective version.
func newestFirst(all []*version) (ordered []*version) {
	for _, v := range all {
		if v.effective != "" {
			ordered = append(ordered, v)
		}
	}
	slices.SortStableFunc(ordered, func(a, b *version) int { return checker.Compare(b.effective, a.effective) })
	return ordered
}

// countAtLeast returns the number of ordered versions that are not older than a canonical
// version.
func countAtLeast(ordered []*version, key string) int {
	n, _ := slices.BinarySearchFunc(ordered, key, func(v *version, key string) int {
		if checker.Compare(v.effective, key) >= 0 {
			return -1
		}
		return 1
	})
	return n
}
