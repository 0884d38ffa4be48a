package statstest

import (
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
)

// quantile returns the element of rank q*(n-1), or nil if there are none.
func quantile(sorted []int64, q float64) any {
	if len(sorted) == 0 {
		return nil
	}
	return float64(sorted[int(q*float64(len(sorted)-1))])
}

// heapsOf returns the sorted heap sizes of some builds.
func (t *Truth) heapsOf(include func(build int) bool) (all []int64) {
	for build, heaps := range t.heaps {
		if len(heaps) > 0 && include(build) {
			all = append(all, heaps...)
		}
	}
	slices.Sort(all)
	return all
}

// instancesAbove counts the instances that reported a heap size above a limit.
func (t *Truth) instancesAbove(limit int64) (n int64) {
	for _, heap := range t.maxHeap {
		if heap > limit {
			n++
		}
	}
	return n
}

var percentiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}}

// heap returns a row for all instances, for each version, for each platform, and for
// each version on each platform, if there are heap sizes.
func (t *Truth) heap() (rows [][]any) {
	for _, kind := range [][2]bool{{}, {true, false}, {false, true}, {true, true}} {
		heaps, instances := map[string][]int64{}, map[string]int64{}
		key := func(build int) string {
			version, platform := "", ""
			if kind[0] {
				version = t.versionName(build)
			}
			if kind[1] {
				platform = t.platformName(build)
			}
			return version + " " + platform
		}
		for build := range t.heaps {
			if len(t.heaps[build]) > 0 {
				heaps[key(build)] = append(heaps[key(build)], t.heaps[build]...)
				instances[key(build)] += t.heapInstances[build]
			}
		}
		for key, all := range heaps {
			slices.Sort(all)
			row := append(t.heapKey(key), instances[key], int64(len(all)))
			for _, p := range percentiles {
				row = append(row, quantile(all, p.q))
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// heapKey returns the first values of a row of heap.
func (t *Truth) heapKey(key string) []any {
	row := []any{nil, nil, nil}
	version, platform, _ := strings.Cut(key, " ")
	if version != "" {
		row[0] = version
	}
	if os, arch, ok := strings.Cut(platform, "/"); ok {
		row[1], row[2] = os, arch
	}
	return row
}

// limits returns the limits of the table heap_above.
func limits() (all []int64) {
	for n := int64(256 << 10); n < 64<<30; n *= 2 {
		all = append(all, n, n+n/2)
	}
	return append(all, 64<<30)
}

func (t *Truth) heapAbove() (rows [][]any) {
	days := t.heapsOfVersion("")
	exceed := func(limit int64) int64 { return t.instancesAbove(limit) }
	total := sum(t.heapInstances)
	if t.remembers() {
		exceed = func(limit int64) int64 { return t.heapsBetween(float64(limit), math.Inf(1)) }
		total = int64(len(days))
	}
	if total == 0 {
		return nil
	}
	above, nearest := t.query.Above, int64(0)
	for _, limit := range limits() {
		if above > 0 && (nearest == 0 || logRatio(limit, above) < logRatio(nearest, above)) {
			nearest = limit
		}
	}
	done := false
	for _, limit := range limits() {
		n := exceed(limit)
		if n == total { // replaces the lower limits, which all instances exceed too
			rows = slices.DeleteFunc(rows, func(row []any) bool { return row[0] != float64(nearest) })
		}
		if !done || limit == nearest {
			n, above := t.instancesAbove(limit), t.heapsBetween(float64(limit), math.Inf(1))
			rows = append(rows, []any{float64(limit), n, share(n, t.total), above, share(above, int64(len(days)))})
		}
		done = done || n == 0
	}
	return rows
}

func logRatio(a, b int64) float64 { return math.Abs(math.Log(float64(a) / float64(b))) }

// heapChange has no change if a version has fewer than five instances beyond the percentile.
func (t *Truth) heapChange() (rows [][]any) {
	before, after := t.comparedVersions()
	if before == "" || len(t.heapsOfVersion(before)) == 0 || len(t.heapsOfVersion(after)) == 0 {
		return nil
	}
	heapsBefore, heapsAfter := t.heapsOfVersion(before), t.heapsOfVersion(after)
	for _, p := range percentiles {
		from, to := quantile(heapsBefore, p.q), quantile(heapsAfter, p.q)
		var change, low, high, certain any
		n, m := t.heapReportersOf(before), t.heapReportersOf(after)
		fewest := min(n, m)
		if from != nil && to != nil && from.(float64) > 0 && float64(fewest)*(1-p.q) >= 5-1e-9 {
			change = to.(float64)/from.(float64) - 1
			oldLess, oldMore := bounds(heapsBefore, p.q, n)
			newLess, newMore := bounds(heapsAfter, p.q, m)
			value := math.Log(max(1, to.(float64)) / from.(float64))
			least, most := value-math.Hypot(newLess, oldMore)-heapError, value+math.Hypot(newMore, oldLess)+heapError
			low, high, certain = math.Exp(least)-1, math.Exp(most)-1, least > 0 || most < 0
		}
		rows = append(rows, []any{p.name, before, after, n, m, from, to, change, low, high, certain})
	}
	return rows
}

// bounds returns by how much a percentile of n instances may be lower and higher with 95 %
// confidence, as differences of logarithms.
func bounds(heaps []int64, q float64, n int64) (less, more float64) {
	d := 1.96 * math.Sqrt(q*(1-q)/float64(n))
	log := func(q float64) float64 { return math.Log(max(1, quantile(heaps, min(1, max(0, q))).(float64))) }
	return log(q) - log(q-d), log(q+d) - log(q)
}

// displayName returns the name in tables of a version or minor line of a query.
func (t *Truth) displayName(name string) string {
	if lineName.MatchString(t.releases.bare(name)) {
		return t.releases.line(name)
	}
	return t.releases.version(name).name
}

// matcher returns a function that reports whether a build is of a version or minor line, by
// the name in tables. An empty name matches all builds.
func (t *Truth) matcher(name string) func(build int) bool {
	return func(build int) bool { return t.isOf(t.versionName(build), name) }
}

// isOf reports whether a version is another one, or in a minor line.
func (t *Truth) isOf(version, name string) bool {
	if name == "" || version == name {
		return true
	}
	requested := t.query.Compare[0] != "" // otherwise name is a version, even if it looks like a line
	return requested && lineName.MatchString(t.releases.bare(name)) && t.releases.lineKey(version) == t.releases.lineKey(name)
}

// comparedVersions returns the two versions whose heap sizes are compared, the older one
// first: the two of the query, or else the two with the most instances that reported a
// heap size.
func (t *Truth) comparedVersions() (before, after string) {
	if c := t.query.Compare; c[0] != "" {
		return t.displayName(c[0]), t.displayName(c[1])
	}
	instances := map[string]int64{}
	for build, heaps := range t.heaps {
		if name := t.versionName(build); len(heaps) > 0 {
			instances[name] = t.heapReportersOf(name)
		}
	}
	maps.DeleteFunc(instances, func(name string, _ int64) bool { return !t.releases.parse(name).Ordered() })
	names := newestFirst(&t.releases, instances)
	order := slices.Clone(names)
	slices.SortStableFunc(names, func(a, b string) int { return int(instances[b] - instances[a]) })
	if len(names) < 2 {
		return "", ""
	}
	if slices.Index(order, names[0]) < slices.Index(order, names[1]) {
		return names[1], names[0]
	}
	return names[0], names[1]
}

// heapsBetween counts the instance-days whose heap size is above one size, up to another.
func (t *Truth) heapsBetween(above, to float64) int64 {
	all := t.heapsOfVersion("")
	first := sort.Search(len(all), func(i int) bool { return float64(all[i]) > above })
	after := sort.Search(len(all), func(i int) bool { return float64(all[i]) > to })
	return int64(max(0, after-first))
}

// heapsOfVersion returns the sorted heap sizes of a version or minor line. An empty name
// stands for all.
func (t *Truth) heapsOfVersion(name string) []int64 {
	if _, ok := t.sortedHeaps[name]; !ok {
		t.sortedHeaps[name] = t.heapsOf(t.matcher(name))
	}
	return t.sortedHeaps[name]
}

// heapInstancesOf counts the instances of a version or minor line that reported a heap
// size.
func (t *Truth) heapInstancesOf(name string) (n int64) {
	matches := t.matcher(name)
	for build, instances := range t.heapInstances {
		if matches(build) {
			n += instances
		}
	}
	return n
}

// heapReportersOf counts the instances of a version or minor line that reported a heap size,
// and its installations on a mean day.
func (t *Truth) heapReportersOf(name string) (n int64) {
	matches := t.matcher(name)
	for build, heaps := range t.heaps {
		if matches(build) && len(heaps) > 0 {
			n += t.installations[build]
		}
	}
	return t.heapInstancesOf(name) + n/int64(max(1, t.meanDays().Days()))
}
