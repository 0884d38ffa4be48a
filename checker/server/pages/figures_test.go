package pages

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/public"
	"relcheck/checker/stats/rollup"
)

// installedView returns a view of three days. Installations ran each version on only one of the two
// days that are over.
func installedView(releases []catalog.Release, versions ...string) *stats.View {
	const today = 20_100
	days := rollup.Range{From: today - 2, To: today}
	totals := &rollup.Totals{Range: days, Known: days, Remembered: days}
	for i, version := range versions {
		d := days.From + rollup.Day(i%2)
		totals.Builds = append(totals.Builds, rollup.BuildTotals{
			Build: rollup.Build{Version: version, Platform: checker.Platform{OS: "linux", Arch: "amd64"}}, Distinct: rollup.Distinct{Exceed: []int64{0}}, Reports: 1,
			Days:          []rollup.Count{{Day: d, Reports: 1}},
			Installations: []rollup.DayInstallations{{Day: d, Installations: rollup.Installations{Daily: 1}}},
		})
	}
	p := catalog.Product{Name: "app"}
	return stats.NewView(p, p.Rank(releases), stats.Query{Range: days}, totals, today)
}

// TestPlatformsAgree checks that the tables of a page show the same number for a platform.
func TestPlatformsAgree(t *testing.T) {
	view := installedView([]catalog.Release{{Tag: "v1.0.0"}, {Tag: "v1.1.0"}}, "1.0.0", "1.1.0")
	page, err := Product(Visitor{Reader: true}, ProductData{View: view, Section: "platforms"})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(page), `>1.0</td>`); got != 4 {
		t.Errorf("got %d cells with 1.0 installations a day, want one in each of 4 tables", got)
	}
}

// TestCurveColors checks that a minor line has one color in all charts, also if a newer one without
// a date has no curve.
func TestCurveColors(t *testing.T) {
	released := rollup.Day(20_098).Time().Add(time.Hour)
	view := installedView([]catalog.Release{{Tag: "v1.3.0"}, {Tag: "v1.2.0", Date: released}, {Tag: "v1.1.0", Date: released.AddDate(0, 0, -9)}, {Tag: "v1.0.0"}}, "1.2.0", "1.1.0")
	b := newBuilder(view, "", nil)
	if got, want := b.adoptionCurves().Legend, (legendItem{"v1.2", b.series.class(1)}); len(got) == 0 || got[0] != want {
		t.Errorf("got the legend %v, want it to begin with %v", got, want)
	}
}

func TestSmooth(t *testing.T) {
	nan := math.NaN()
	got := smooth([]float64{nan, 0.1, 0.2, 0.3, 0.4, 0.5, nan})
	for i, want := range []float64{nan, 0.25, 0.3, 0.3, 0.3, 0.35, nan} {
		if math.Abs(got[i]-want) > 1e-9 || math.IsNaN(got[i]) != math.IsNaN(want) {
			t.Errorf("got %v at %d, want %v", got[i], i, want)
		}
	}
}

// TestPercentileRules checks that percentiles of the same value share a line.
func TestPercentileRules(t *testing.T) {
	bins := &stats.Table{Columns: []stats.Column{stats.ColFromBytes, stats.ColToBytes}, Rows: [][]any{{1.0, 2.0}, {2.0, 4.0}}}
	heaps := &stats.Table{Columns: percentiles, Rows: [][]any{{1.0, 2.0, 2.0, 4.0}}}
	var got []string
	for r := range heaps.All() {
		for _, rule := range percentileRules(slices.Collect(bins.All()), r) {
			got = append(got, strings.ReplaceAll(rule.Text, nbsp, " "))
		}
	}
	if want := []string{"p50 1 B", "p90–p95 2 B", "p99 4 B"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestOneHeap checks that heaps of one size have no chart, because it would be a single bar.
func TestOneHeap(t *testing.T) {
	view := installedView(nil, "1.0.0")
	b := newBuilder(view, "", nil)
	b.tables["heap_histogram"] = &stats.Table{Columns: []stats.Column{stats.ColFromBytes, stats.ColToBytes, stats.ColInstanceDays, stats.ColShare}, Rows: [][]any{{1.0, 2.0, int64(1), 1.0}}}
	if f := b.heapHistogram(); f.Chart != "" || f.ChartTable == nil {
		t.Errorf("got the chart %q and table %v, want a table only", f.Chart, f.ChartTable)
	}
}

// TestMissedHours checks that the page of public figures warns if not all hours of a week were
// counted.
func TestMissedHours(t *testing.T) {
	for hours, want := range map[int64]bool{24: true, 168: false} {
		d := PublicData{Product: catalog.Product{Name: "app"}, Weeks: []*public.Document{{From: "2026-11-16", To: "2026-11-22", Hours: hours, Threshold: 40}}}
		page, err := Public(Visitor{}, d)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(page), "of the 168 hours of the week were counted, so the figures are too low.</p>"); got != want {
			t.Errorf("%d hours: got a warning %t, want %t", hours, got, want)
		}
	}
}
