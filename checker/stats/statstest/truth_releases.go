package statstest

import (
	"cmp"
	"maps"
	"slices"

	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// version is a reported version.
type version struct {
	name      string // as shown in tables
	compareAs string // canonical version to compare with releases; empty if name is no version
}

// releases lists releases from the newest version to the oldest.
type releases []catalog.Release

func newReleases(all []catalog.Release) releases {
	r := slices.Clone(all)
	slices.SortFunc(r, func(a, b catalog.Release) int { return checker.Compare(b.Version, a.Version) })
	return r
}

// find returns the release of a version, or nil.
func (all releases) find(version string) *catalog.Release {
	for i, r := range all {
		if checker.Compare(r.Version, version) == 0 && checker.Canonical(version) != "" {
			return &all[i]
		}
	}
	return nil
}

// version returns a reported version with the spelling of its release, if it is one.
func (all releases) version(reported string) version {
	canonical := checker.Canonical(reported)
	if canonical == "" {
		return version{name: reported}
	}
	if r := all.find(reported); r != nil {
		return version{r.Version, canonical}
	}
	return version{canonical, checker.Core(canonical)}
}

// latest returns the newest release that is neither a pre-release nor withdrawn, or nil.
func (all releases) latest() *catalog.Release {
	for i, r := range all {
		if !r.Prerelease && !r.Withdrawn {
			return &all[i]
		}
	}
	return nil
}

// newer returns the number of releases that are newer than a version, or nil if it is
// unknown.
func (all releases) newer(v version) any {
	if v.compareAs == "" || all.latest() == nil {
		return nil
	}
	n := int64(0)
	for _, r := range all {
		if !r.Prerelease && !r.Withdrawn && checker.Compare(r.Version, v.compareAs) > 0 {
			n++
		}
	}
	return n
}

// daysOutdated returns how many days earlier than the latest release a version was
// released, or nil if it is unknown.
func (all releases) daysOutdated(v version) any {
	latest := all.latest()
	if v.compareAs == "" || latest == nil {
		return nil
	}
	if checker.Compare(v.compareAs, latest.Version) >= 0 {
		return int64(0)
	}
	own := all.find(v.compareAs)
	if own == nil || own.Date.IsZero() || latest.Date.IsZero() {
		return nil
	}
	return max(0, int64(rollup.DayOf(latest.Date)-rollup.DayOf(own.Date)))
}

// date returns the day of a version's release, or nil.
func (all releases) date(name string) any {
	if r := all.find(name); r != nil && !r.Date.IsZero() {
		return rollup.DayOf(r.Date)
	}
	return nil
}

// line returns the minor line of a version, or "other".
func line(name string) string {
	if line := semver.MajorMinor(checker.Canonical(name)); line != "" {
		return line
	}
	return "other"
}

// newestFirst returns the names of versions or minor lines from the newest to the oldest,
// and then the names that are no versions.
func newestFirst[V any](names map[string]V) []string {
	return slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return cmp.Or(checker.Compare(b, a), cmp.Compare(a, b))
	})
}
