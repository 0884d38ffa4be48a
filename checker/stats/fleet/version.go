package fleet

import (
	"cmp"
	"maps"
	"slices"

	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/checker/stats"
)

// version is one that was reported.
type version struct {
	name   string // as it is shown
	judged string // canonical, by which it is compared to releases; or empty
}

// releases is what was published, from the newest version down.
type releases []checker.Release

func newReleases(all []checker.Release) releases {
	r := slices.Clone(all)
	slices.SortFunc(r, func(a, b checker.Release) int { return checker.Compare(b.Version, a.Version) })
	return r
}

func (all releases) find(version string) *checker.Release {
	for i, r := range all {
		if checker.Compare(r.Version, version) == 0 && checker.Canonical(version) != "" {
			return &all[i]
		}
	}
	return nil
}

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

// latest is the one that most callers are offered, or nil.
func (all releases) latest() *checker.Release {
	for i, r := range all {
		if !r.Prerelease && !r.Withdrawn {
			return &all[i]
		}
	}
	return nil
}

// behind is how many releases are newer than a version; nil if that is unknown.
func (all releases) behind(v version) any {
	if v.judged == "" || all.latest() == nil {
		return nil
	}
	n := int64(0)
	for _, r := range all {
		if !r.Prerelease && !r.Withdrawn && checker.Compare(r.Version, v.judged) > 0 {
			n++
		}
	}
	return n
}

// daysBehind is by how many days a version's release is older than the latest;
// nil if that is unknown.
func (all releases) daysBehind(v version) any {
	latest := all.latest()
	if v.judged == "" || latest == nil {
		return nil
	}
	if checker.Compare(v.judged, latest.Version) >= 0 {
		return int64(0)
	}
	own := all.find(v.judged)
	if own == nil || own.Date.IsZero() || latest.Date.IsZero() {
		return nil
	}
	return max(0, int64(stats.DayOf(latest.Date)-stats.DayOf(own.Date)))
}

// date is when a version was released, or nil.
func (all releases) date(name string) any {
	if r := all.find(name); r != nil && !r.Date.IsZero() {
		return stats.DayOf(r.Date)
	}
	return nil
}

// line is the minor line of a version, or "other".
func line(name string) string {
	if line := semver.MajorMinor(checker.Canonical(name)); line != "" {
		return line
	}
	return "other"
}

// newestFirst returns the names of versions or lines, those that are none last.
func newestFirst[V any](names map[string]V) []string {
	return slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return cmp.Or(checker.Compare(b, a), cmp.Compare(a, b))
	})
}
