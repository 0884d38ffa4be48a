package fleet

import (
	"slices"
	"sort"
	"strings"

	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/checker/stats"
)

// Truth is what a log adds up to, for one query, by plain counting.
type Truth struct {
	log      *Log
	query    stats.Query
	today    stats.Day   // it is not over yet
	shown    stats.Range // the days that daily figures are of
	kept     []bool      // by build: whether the query's filter lets it pass
	versions []version   // by build
	releases releases
	ids      []int64   // by build: distinct ids in the range
	total    int64     // of them all
	reports  []int64   // by build, in the range
	heaps    [][]int64 // by build: the highest of each instance and day of the range, from the lowest up
	sampled  bool      // some build had more instances on one day than all of which heaps count
	tellers  []int64   // by build: the ids that told one in the range
	highest  []int64   // by id: the highest that it told in the range, or -1
	daily    map[stats.Day][]int64
	tables   map[string][][]any // those that were asked for
	sorted   map[string][]int64 // heaps by version, likewise
	samples  map[string]*sample // by version, likewise
}

// NewTruth counts what a query asks about. Today is a day that is not over yet.
func (l *Log) NewTruth(q stats.Query, today stats.Day) *Truth {
	t := &Truth{tables: map[string][][]any{}, sorted: map[string][]int64{}, samples: map[string]*sample{}, log: l, query: q, today: today, shown: stats.Range{From: max(q.From, l.Known.From), To: q.To}, releases: newReleases(l.Releases)}
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
	if rows, ok := t.tables[name]; ok {
		return rows
	}
	t.tables[name] = map[string]func() [][]any{
		"summary": t.summary, "daily": t.days, "weekly": t.weekly, "monthly": t.monthly, "adoption": t.adoption,
		"releases": t.released, "lines": t.lines, "latest": t.latest, "versions": t.versionRows,
		"deprecation": t.deprecation, "behind": t.behind, "behind_days": t.behindDays,
		"platforms": t.platforms, "os": t.os, "arch": t.arch, "platform_versions": t.platformVersions,
		"heap": t.heap, "heap_histogram": nothing, "heap_above": t.heapAbove, "heap_change": t.heapChange,
		"lifetimes": t.lifetimes,
	}[name]()
	return t.tables[name]
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
	return between(t.log.visits, days, func(v visit) stats.Day { return v.day })
}

// heard is the reports of some days, of all builds.
func (t *Truth) heard(days stats.Range) []heard {
	return between(t.log.heard, days, func(h heard) stats.Day { return stats.Day(h.at / day) })
}

// between returns the part of what is in order that lies in some days.
func between[T any](all []T, days stats.Range, of func(T) stats.Day) []T {
	from := sort.Search(len(all), func(i int) bool { return of(all[i]) >= days.From })
	to := sort.Search(len(all), func(i int) bool { return of(all[i]) > days.To })
	return all[from:max(from, to)]
}

func (t *Truth) countReports() {
	t.reports, t.heaps, t.tellers = make([]int64, len(t.kept)), make([][]int64, len(t.kept)), make([]int64, len(t.kept))
	t.highest = slices.Repeat([]int64{-1}, len(t.log.ids))
	type visited struct {
		id  int32
		day int64
	}
	peaks := map[visited]int64{}
	for _, h := range t.heard(t.query.Range) {
		build := t.log.ids[h.id].build
		if !t.kept[build] {
			continue
		}
		t.reports[build]++
		if h.heap >= 0 {
			of := visited{h.id, h.at / day}
			peaks[of] = max(peaks[of], h.heap)
			if t.highest[h.id] < 0 {
				t.tellers[build]++
			}
			t.highest[h.id] = max(t.highest[h.id], h.heap)
		}
	}
	type cell struct {
		build int32
		day   int64
	}
	instances := map[cell]int{}
	for of, heap := range peaks {
		build := t.log.ids[of.id].build
		t.heaps[build] = append(t.heaps[build], heap)
		at := cell{build, of.day}
		instances[at]++
		t.sampled = t.sampled || instances[at] > fewest
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
