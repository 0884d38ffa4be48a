package fleet

import (
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/checker/stats"
)

// Truth is what a log adds up to, for one query, by plain counting.
type Truth struct {
	log      *Log
	query    stats.Query
	shown    stats.Range // the days that daily figures are of
	kept     []bool      // by build: whether the query's filter lets it pass
	versions []version   // by build
	releases releases
	ids      []int64         // by build: distinct ids in the range
	total    int64           // of them all
	reports  []int64         // by build, in the range
	heaps    [][]int64       // by build: those told in the range, from the lowest up
	highest  map[int32]int64 // by id: the highest heap told in the range
	daily    map[stats.Day][]int64
}

// NewTruth counts what the query asks about.
func (l *Log) NewTruth(q stats.Query) *Truth {
	t := &Truth{log: l, query: q, shown: stats.Range{From: max(q.From, l.Known.From), To: q.To}, releases: newReleases(l.Releases)}
	for _, b := range l.builds {
		t.kept = append(t.kept, keeps(q.Filter, b))
		t.versions = append(t.versions, t.releases.version(b.Version))
	}
	t.ids = t.distinct(q.Range)
	t.total = sum(t.ids)
	t.countReports()
	t.countDays()
	return t
}

// Table returns the rows that a table must have, or nil for heap_histogram and
// the interval of heap_change: there, it is up to the view how to show them.
func (t *Truth) Table(name string) [][]any {
	return map[string]func() [][]any{
		"summary": t.summary, "daily": t.days, "weekly": t.weekly, "monthly": t.monthly, "adoption": t.adoption,
		"releases": t.released, "lines": t.lines, "latest": t.latest, "versions": t.versionRows,
		"deprecation": t.deprecation, "behind": t.behind, "behind_days": t.behindDays,
		"platforms": t.platforms, "os": t.os, "arch": t.arch, "platform_versions": t.platformVersions,
		"heap": t.heap, "heap_histogram": nothing, "heap_above": t.heapAbove, "heap_change": t.heapChange,
		"lifetimes": t.lifetimes,
	}[name]()
}

func nothing() [][]any { return nil }

// keeps tells whether a build passes a filter.
func keeps(f stats.Filter, b stats.Build) bool {
	if f.OS != "" && f.OS != b.OS || f.Arch != "" && f.Arch != b.Arch {
		return false
	}
	asked, is := checker.Canonical(f.Version), checker.Canonical(b.Version)
	switch {
	case f.Version == "" || f.Version == b.Version:
		return true
	case asked == "" || is == "":
		return false
	case strings.Count(f.Version, ".") == 1:
		return semver.MajorMinor(asked) == semver.MajorMinor(is)
	}
	return asked == is
}

// distinct counts the ids of some days, by build.
func (t *Truth) distinct(days stats.Range) []int64 {
	counts, seen := make([]int64, len(t.log.builds)), map[int32]bool{}
	for _, v := range t.visits(days) {
		if build := t.log.ids[v.id].build; t.kept[build] && !seen[v.id] {
			seen[v.id] = true
			counts[build]++
		}
	}
	return counts
}

// visits are those of some days, of all builds.
func (t *Truth) visits(days stats.Range) []visit {
	index := func(d stats.Day) int {
		i, _ := slices.BinarySearchFunc(t.log.visits, d, func(v visit, d stats.Day) int { return int(v.day - d) })
		return i
	}
	return t.log.visits[index(days.From):max(index(days.From), index(days.To+1))]
}

func (t *Truth) countReports() {
	t.reports, t.heaps, t.highest = make([]int64, len(t.kept)), make([][]int64, len(t.kept)), map[int32]int64{}
	for _, h := range t.log.heard {
		build := t.log.ids[h.id].build
		if !t.kept[build] || !t.query.Has(stats.Day(h.at/day)) {
			continue
		}
		t.reports[build]++
		if h.heap >= 0 {
			t.heaps[build] = append(t.heaps[build], h.heap)
			t.highest[h.id] = max(t.highest[h.id], h.heap)
		}
	}
	for _, heaps := range t.heaps {
		slices.Sort(heaps)
	}
}

func (t *Truth) countDays() {
	t.daily = map[stats.Day][]int64{}
	for d := t.shown.From; d <= t.shown.To; d++ {
		t.daily[d] = make([]int64, len(t.kept))
	}
	for _, v := range t.visits(t.shown) {
		if build := t.log.ids[v.id].build; t.kept[build] {
			t.daily[v.day][build]++
		}
	}
}

// by adds up what was counted by build under the names that they have.
func (t *Truth) by(counts []int64, name func(build int) string) map[string]int64 {
	sums := map[string]int64{}
	for build, n := range counts {
		if n > 0 {
			sums[name(build)] += n
		}
	}
	return sums
}

// share returns n of all, or nil of none.
func share(n, all int64) any {
	if all == 0 {
		return nil
	}
	return float64(n) / float64(all)
}

func sum(all []int64) (n int64) {
	for _, one := range all {
		n += one
	}
	return n
}
