package stats_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
)

func comparison(q stats.Query, all []reports) *stats.Table {
	q.Range = days("2026-03-02", "2026-03-02")
	return newView(catalog.Listing{}, q, totals(q.Range, all), q.To+1).Table("heap_change")
}

// TestHeapChangeNeedsInstances checks that a percentile is compared only if both versions have
// enough instances beyond it.
func TestHeapChangeNeedsInstances(t *testing.T) {
	for instances, want := range map[int]string{9: "- - - -", 10: "+ - - -", 99: "+ + - -", 100: "+ + + -", 500: "+ + + +"} {
		table := comparison(stats.Query{}, []reports{
			{"2026-03-02", 0, 599, "v1.0.0", "linux/amd64", 1 << 20},
			{"2026-03-02", 1000, 999 + instances, "v1.1.0", "linux/amd64", 1 << 21},
		})
		var got []string
		for _, row := range table.Rows {
			if row[7] == nil {
				got = append(got, "-")
			} else {
				got = append(got, "+")
			}
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%d instances: got changes of p50, p90, p95 and p99 %s, want %s", instances, got, want)
		}
	}
}

func TestHeapChange(t *testing.T) {
	all := []reports{
		{"2026-03-02", 0, 9, "dev", "linux/amd64", 1 << 20},
		{"2026-03-02", 10, 12, "1.10.0", "linux/amd64", 1 << 20},
		{"2026-03-02", 20, 22, "1.9.0", "linux/amd64", 1 << 21},
		{"2026-03-02", 30, 30, "2.0.0", "linux/amd64", -1},
		{"2026-03-02", 40, 60, "3.0.0", "linux/amd64", 0},
		{"2026-03-02", 70, 71, "1.10.1", "linux/amd64", 1 << 22},
		{"2026-03-02", 72, 73, "1.10.2-rc.1", "linux/amd64", 1 << 22},
	}
	for compare, want := range map[[2]string]string{
		{}:                   "p50 v1.9.0 v1.10.0 3 3 2.09e+06 1.06e+06 -",
		{"1.10.0", "v1.9.0"}: "p50 v1.10.0 v1.9.0 3 3 1.06e+06 2.09e+06 -",
		{"dev", "1.9.0"}:     "p50 dev v1.9.0 10 3 1.06e+06 2.09e+06",
		{"1.9.0", "2.0.0"}:   "p50 v1.9.0 v2.0.0 3 1 2.09e+06 0 -",
		{"1.9", "v1.10"}:     "p50 v1.9 v1.10 3 7 2.09e+06 4.2e+06",
		{"v1.10.0", "1.9"}:   "p50 v1.10.0 v1.9 3 3 1.06e+06 2.09e+06",
	} {
		if got := text(comparison(stats.Query{Compare: compare}, all)); !strings.HasPrefix(got, want) {
			t.Errorf("%v: got %s, want %s", compare, got, want)
		}
	}
	for compare, want := range map[[2]string]string{
		{"1.9.0", "3.0.0"}: "no report of v3.0.0",
		{"3.0", "1.9.0"}:   "no report of v3.0 in the range has a heap",
		{"4.0.0", "1.9.0"}: "no instance reported v4.0.0 in the range",
		{"4.0", "5.0.0"}:   "no instance reported v4.0 in the range; no instance reported v5.0.0 in the range",
	} {
		table := comparison(stats.Query{Compare: compare}, all)
		if len(table.Rows) != 0 || !strings.Contains(table.Note, want) {
			t.Errorf("%v: got note %s and rows %s, want a note with %q", compare, table.Note, text(table), want)
		}
	}
	if table := comparison(stats.Query{}, all[:2]); len(table.Rows) != 0 || !strings.Contains(table.Note, "two versions") {
		t.Errorf("got note %s and rows %s, want a note about two versions", table.Note, text(table))
	}
}

// TestHeapChangeOfOtherVersions checks that versions which count as other can be compared.
func TestHeapChangeOfOtherVersions(t *testing.T) {
	var all []reports
	for i := range 300 {
		all = append(all, reports{"2026-03-02", 10 * i, 10*i + i/100, fmt.Sprintf("1.%d.0", i), "linux/amd64", 1 << 20})
	}
	for compare, want := range map[[2]string]string{
		{"1.1.0", "1.2.0"}:   "p50 v1.1.0 v1.2.0",
		{"1.1", "1.2"}:       "p50 v1.1 v1.2",
		{"1.1.0", "1.299.0"}: "p50 v1.1.0 v1.299.0",
		{"other", "1.299.0"}: "p50 other v1.299.0",
	} {
		if got := comparison(stats.Query{Compare: compare}, all); !strings.HasPrefix(text(got), want) {
			t.Errorf("%v: got %s, %s, want %s", compare, text(got), got.Note, want)
		}
	}
}

// TestHistogram checks that the bars include all instances, are adjacent, and have a useful
// number.
func TestHistogram(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, spread := range []float64{0, 0.01, 0.5, 2, 5, 8} {
		for _, zeros := range []int{0, 3} {
			t.Run(fmt.Sprint(spread, zeros), func(t *testing.T) {
				var all []reports
				for i := range 500 {
					heap := max(1, int64(1e9*math.Exp(spread*(random.Float64()*2-1))))
					if i < zeros {
						heap = -1
					}
					all = append(all, reports{"2026-03-02", i, i, "v1.0.0", "linux/amd64", heap})
				}
				r := days("2026-03-02", "2026-03-02")
				table := newView(catalog.Listing{}, stats.Query{Range: r}, totals(r, all), r.To).Table("heap_histogram")
				checkKinds(t, table)
				checkBars(t, table.Rows, all, spread >= 0.5)
			})
		}
	}
}

func checkBars(t *testing.T, bars [][]any, all []reports, many bool) {
	if len(bars) > 42 || many && len(bars) < 18 {
		t.Errorf("got %d bars, want 18 to 42", len(bars))
	}
	total, end := int64(0), bars[0][0]
	for _, bar := range bars {
		from, to := bar[0].(float64), bar[1].(float64)
		if bar[0] != end || to <= from {
			t.Errorf("got bar %v after %v", bar, end)
		}
		total, end = total+bar[2].(int64), bar[1]
		low, high := int64(0), int64(0)
		for _, s := range all {
			if heap := float64(max(0, s.heap)); heap >= from/1.021 && heap <= to*1.021 {
				high++
				if heap >= from*1.021 && heap <= to/1.021 {
					low++
				}
			}
		}
		if n := bar[2].(int64); n < low || n > high {
			t.Errorf("bar from %f to %f: got %d instances, want %d to %d", from, to, n, low, high)
		}
	}
	if total != int64(len(all)) {
		t.Errorf("got %d instances in all bars, want %d", total, len(all))
	}
}
