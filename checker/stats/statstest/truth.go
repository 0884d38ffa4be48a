package statstest

import (
	"slices"
	"sort"
	"sync"

	"github.com/google/uuid"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// Truth computes the true tables of one query by plain counting.
type Truth struct {
	log           *Log
	query         stats.Query
	today         rollup.Day   // the current day, which is incomplete
	dailyRange    rollup.Range // days of the daily tables
	matched       []bool       // by build: whether it matches the query's filter
	versions      []version    // by build
	releases      releases
	instances     []int64                // by build: distinct instances in the range
	total         int64                  // sum of instances
	installations []int64                // by build: sum of the installations on the days of meanDays
	reports       []int64                // by build: reports in the range
	heaps         [][]int64              // by build: largest heap size of each instance and day in the range, sorted
	sampled       bool                   // some build has more instances on a day than a rollup keeps heap sizes of
	heapInstances []int64                // by build: instances that reported a heap size in the range
	maxHeap       []int64                // by instance: largest heap size in the range, or -1
	daily         map[rollup.Day][]int64 // by day and build: distinct instances
	mu            sync.Mutex             // guards the caches
	tables        map[string][][]any     // cache of Table
	sortedHeaps   map[string][]int64     // cache of heapsOfVersion
}

// NewTruth counts what the query needs. The day today is incomplete.
func (l *Log) NewTruth(q stats.Query, today rollup.Day) *Truth {
	t := &Truth{log: l, query: q, today: today, dailyRange: rollup.Range{From: max(q.From, l.Known.From), To: q.To}, releases: newReleases(l.Product, l.Releases, (today + 1).Time()),
		tables: map[string][][]any{}, sortedHeaps: map[string][]int64{}}
	for _, b := range l.builds {
		t.matched = append(t.matched, t.matches(b))
		t.versions = append(t.versions, t.releases.version(b.Version))
	}
	t.instances = t.distinct(q.Range)
	t.total = sum(t.instances)
	t.installations = t.installationsOn(t.meanDays())
	t.countReports()
	t.countDays()
	return t
}

// Table returns the true rows of a table. It returns no rows for heap_histogram and no
// interval for heap_change, because these are the view's choice.
func (t *Truth) Table(name string) [][]any {
	t.mu.Lock()
	defer t.mu.Unlock()
	if rows, ok := t.tables[name]; ok {
		return rows
	}
	t.tables[name] = map[string]func() [][]any{
		"summary": t.summary, "daily": t.days, "weekly": t.weekly, "monthly": t.monthly, "adoption": t.adoption,
		"releases": t.releaseRows, "lines": t.lines, "latest": t.latest, "versions": t.versionRows,
		"deprecation": t.deprecation, "behind": t.behind, "behind_days": t.behindDays,
		"platforms": t.platforms, "os": t.os, "arch": t.arch, "platform_versions": t.platformVersions,
		"checks": t.checks, "heap": t.heap, "heap_histogram": noRows, "heap_above": t.heapAbove, "heap_change": t.heapChange,
		"lifetimes": t.lifetimes, "installations": t.installationSummary, "installations_daily": t.installationsDaily,
		"installations_weekly": t.installationsWeekly, "installations_monthly": t.installationsMonthly,
		"installation_versions": t.installationVersions, "installation_platforms": t.installationPlatforms,
	}[name]()
	return t.tables[name]
}

func noRows() [][]any { return nil }

// matches reports whether a build matches the query's filter.
func (t *Truth) matches(b rollup.Build) bool {
	f, r := t.query.Filter, &t.releases
	if f.OS != "" && f.OS != b.OS || f.Arch != "" && f.Arch != b.Arch {
		return false
	}
	if lineName.MatchString(r.bare(f.Version)) {
		return r.lineKey(f.Version) == r.lineKey(b.Version)
	}
	return f.Version == "" || r.bare(f.Version) == r.bare(b.Version)
}

// distinct counts the distinct instances of some days by build.
func (t *Truth) distinct(days rollup.Range) []int64 {
	counts, seen := make([]int64, len(t.log.builds)), map[int32]bool{}
	for _, a := range t.activeDaysIn(days) {
		if build := t.log.instances[a.instance].build; t.matched[build] && !seen[a.instance] {
			seen[a.instance] = true
			counts[build]++
		}
	}
	return counts
}

// activeDaysIn returns the active days of all builds in some days.
func (t *Truth) activeDaysIn(days rollup.Range) []activeDay {
	return inRange(t.log.activeDays, days, func(a activeDay) rollup.Day { return a.day })
}

// reportsIn returns the reports of all builds in some days.
func (t *Truth) reportsIn(days rollup.Range) []loggedReport {
	return inRange(t.log.reports, days, func(r loggedReport) rollup.Day { return dayOf(r.at) })
}

// inRange returns the part of a slice that lies in some days. The slice is in order of
// time.
func inRange[T any](all []T, days rollup.Range, dayOf func(T) rollup.Day) []T {
	from := sort.Search(len(all), func(i int) bool { return dayOf(all[i]) >= days.From })
	to := sort.Search(len(all), func(i int) bool { return dayOf(all[i]) > days.To })
	return all[from:max(from, to)]
}

func (t *Truth) countReports() {
	t.reports, t.heaps, t.heapInstances = make([]int64, len(t.matched)), make([][]int64, len(t.matched)), make([]int64, len(t.matched))
	t.maxHeap = slices.Repeat([]int64{-1}, len(t.log.instances))
	type instanceDay struct {
		instance int32
		day      rollup.Day
	}
	peaks := map[instanceDay]int64{}
	for _, r := range t.reportsIn(t.query.Range) {
		build := t.log.instances[r.instance].build
		if !t.matched[build] {
			continue
		}
		t.reports[build]++
		in := &t.log.instances[r.instance]
		if r.heap >= 0 && (in.id != uuid.Nil || r.first) {
			on := instanceDay{r.instance, dayOf(r.at)}
			peaks[on] = max(peaks[on], r.heap)
			if in.remembers {
				continue
			}
			if t.maxHeap[r.instance] < 0 {
				t.heapInstances[build]++
			}
			t.maxHeap[r.instance] = max(t.maxHeap[r.instance], r.heap)
		}
	}
	type buildDay struct {
		build int32
		day   rollup.Day
	}
	instances := map[buildDay]int{}
	for on, heap := range peaks {
		build := t.log.instances[on.instance].build
		t.heaps[build] = append(t.heaps[build], heap)
		of := buildDay{build, on.day}
		instances[of]++
		t.sampled = t.sampled || instances[of] > sampleLimit
	}
	for _, heaps := range t.heaps {
		slices.Sort(heaps)
	}
}

func (t *Truth) countDays() {
	t.daily = map[rollup.Day][]int64{}
	for d := t.dailyRange.From; d <= t.dailyRange.To; d++ {
		t.daily[d] = make([]int64, len(t.matched))
	}
	for _, a := range t.activeDaysIn(t.dailyRange) {
		if build := t.log.instances[a.instance].build; t.matched[build] {
			t.daily[a.day][build]++
		}
	}
}

// groupBy sums counts by build under the names of the builds.
func (t *Truth) groupBy(counts []int64, name func(build int) string) map[string]int64 {
	sums := map[string]int64{}
	for build, n := range counts {
		if n > 0 {
			sums[name(build)] += n
		}
	}
	return sums
}

// share returns n/all, or nil if all is 0.
func share(n, all int64) any {
	if all == 0 {
		return nil
	}
	return float64(n) / float64(all)
}

func sum(all []int64) (n int64) {
	for _, x := range all {
		n += x
	}
	return n
}
