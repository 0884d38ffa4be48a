package fleet

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"sort"
	"strings"

	"relcheck/checker"
)

// quantile is the heap of rank q*(n-1), counted from the lowest; nil of none.
func quantile(sorted []int64, q float64) any {
	if len(sorted) == 0 {
		return nil
	}
	return float64(sorted[int(q*float64(len(sorted)-1))])
}

// heapsOf are those of some builds, from the lowest up.
func (t *Truth) heapsOf(of func(build int) bool) (all []int64) {
	for build, heaps := range t.heaps {
		if len(heaps) > 0 && of(build) {
			all = append(all, heaps...)
		}
	}
	slices.Sort(all)
	return all
}

// above counts the ids that told a heap above a limit.
func (t *Truth) above(limit int64) (n int64) {
	for _, highest := range t.highest {
		if highest > limit {
			n++
		}
	}
	return n
}

var percentiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}}

// heap has a row for all, for each version, platform, and both, of which a heap
// was told.
func (t *Truth) heap() (rows [][]any) {
	for _, kind := range [][2]bool{{}, {true, false}, {false, true}, {true, true}} {
		heaps, ids := map[string][]int64{}, map[string]int64{}
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
				ids[key(build)] += t.tellers[build]
			}
		}
		for key, all := range heaps {
			slices.Sort(all)
			row := append(t.heapKey(key), ids[key], int64(len(all)))
			for _, p := range percentiles {
				row = append(row, quantile(all, p.q))
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// heapKey is the start of a row of heap.
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

// limits are the heaps for which ids are counted that exceed them.
func limits() (all []int64) {
	for n := int64(256 << 10); n < 64<<30; n *= 2 {
		all = append(all, n, n+n/2)
	}
	return append(all, 64<<30)
}

func (t *Truth) heapAbove() (rows [][]any) {
	told := sum(t.tellers)
	if told == 0 {
		return nil
	}
	asked, nearest := t.query.Above, int64(0)
	for _, limit := range limits() {
		if asked > 0 && (nearest == 0 || ratio(limit, asked) < ratio(nearest, asked)) {
			nearest = limit
		}
	}
	done := false
	for _, limit := range limits() {
		n := t.above(limit)
		if n == told { // the rows before tell less than this one
			rows = slices.DeleteFunc(rows, func(row []any) bool { return row[0] != float64(nearest) })
		}
		if !done || limit == nearest {
			rows = append(rows, []any{float64(limit), n, share(n, t.total)})
		}
		done = done || n == 0
	}
	return rows
}

func ratio(a, b int64) float64 { return math.Abs(math.Log(float64(a) / float64(b))) }

// heapChange leaves the last three columns to the view.
func (t *Truth) heapChange() (rows [][]any) {
	before, after := t.compared()
	if before == "" || t.idsOf(before) == 0 || t.idsOf(after) == 0 {
		return nil
	}
	was, is := t.heapsOfVersion(before), t.heapsOfVersion(after)
	for _, p := range percentiles {
		from, to := quantile(was, p.q), quantile(is, p.q)
		var change any
		if from != nil && to != nil && from.(float64) > 0 {
			change = to.(float64)/from.(float64) - 1
		}
		rows = append(rows, []any{p.name, before, after, from, to, change, nil, nil, nil})
	}
	return rows
}

// lineName is what minor lines are asked for by.
var lineName = regexp.MustCompile(`^v?[0-9]+\.[0-9]+$`)

// askedName is how a version or a line that was asked for is shown.
func (t *Truth) askedName(asked string) string {
	if lineName.MatchString(asked) {
		return "v" + strings.TrimPrefix(asked, "v")
	}
	return t.releases.version(asked).name
}

// called tells which builds are of a version or a line; no name is that of all.
func (t *Truth) called(name string) func(build int) bool {
	return func(build int) bool {
		is := t.versionName(build)
		return name == "" || is == name || lineName.MatchString(name) && line(is) == name
	}
}

// compared are the two versions whose heaps are compared, the older one first:
// those that were asked for, or those that most ids told a heap of.
func (t *Truth) compared() (before, after string) {
	if c := t.query.Compare; c[0] != "" {
		return t.askedName(c[0]), t.askedName(c[1])
	}
	ids := t.by(t.tellers, t.versionName)
	maps.DeleteFunc(ids, func(name string, _ int64) bool { return checker.Canonical(name) == "" })
	names := newestFirst(ids)
	slices.SortStableFunc(names, func(a, b string) int { return int(ids[b] - ids[a]) })
	if len(names) < 2 {
		return "", ""
	}
	if checker.Compare(names[0], names[1]) > 0 {
		return names[1], names[0]
	}
	return names[0], names[1]
}

// heapsFrom counts the heaps that are above one, up to another.
func (t *Truth) heapsFrom(above, to float64) int64 {
	all := t.heapsOfVersion("")
	first := sort.Search(len(all), func(i int) bool { return float64(all[i]) > above })
	after := sort.Search(len(all), func(i int) bool { return float64(all[i]) > to })
	return int64(max(0, after-first))
}

// heapsOfVersion are those of a version or a line, or all, from the lowest up.
func (t *Truth) heapsOfVersion(name string) []int64 {
	if _, ok := t.sorted[name]; !ok {
		t.sorted[name] = t.heapsOf(t.called(name))
	}
	return t.sorted[name]
}

// idsOf counts the ids of a version or a line that told a heap.
func (t *Truth) idsOf(name string) (n int64) {
	is := t.called(name)
	for build, tellers := range t.tellers {
		if is(build) {
			n += tellers
		}
	}
	return n
}
