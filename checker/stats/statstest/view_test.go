package statstest_test

import (
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/stats/statstest"
)

// reduced reports whether tests should take less time and compare less.
func reduced() bool { return testing.Short() || race }

// queries returns queries that together use every table and every filter.
func queries(days rollup.Range) []stats.Query {
	only := func(r rollup.Range, f stats.Filter) stats.Query { return stats.Query{Range: r, Filter: f} }
	return []stats.Query{
		{Range: days.Last(1)},
		{Range: days.Last(7)},
		{Range: days.Last(28), Above: 100 << 20},
		{Range: days.Last(90), Compare: [2]string{"1.0.0", "v1.1.0"}},
		{Range: days.Last(365), Above: 1 << 50, Compare: [2]string{"v1.0", "1.1"}},
		{Range: days.Last(80), Compare: [2]string{"v0.60", "v1.1.0"}},
		{Range: days.Last(3000)},
		{Range: rollup.Range{From: days.To - 150, To: days.To - 33}, Below: "v0.60.99"},
		{Range: rollup.Range{From: days.From + 13, To: days.From + 40}},
		{Range: rollup.Range{From: days.From - 20, To: days.From - 10}},
		only(days.Last(365), stats.Filter{Version: "v1.1.0"}),
		only(days.Last(28), stats.Filter{Version: "1.1"}),
		only(days.Last(90), stats.Filter{OS: "linux"}),
		only(days.Last(7), stats.Filter{Arch: "arm64"}),
		only(days.Last(365), stats.Filter{Version: "v1.0", OS: "windows", Arch: "amd64"}),
		only(days.Last(28), stats.Filter{Version: "dev"}),
		only(days.Last(7), stats.Filter{Version: "v9.9.9"}),
	}
}

// compare compares views of a fleet with the truth.
func compare(t *testing.T, f fleet.Fleet, today rollup.Day, queries []stats.Query) {
	log := statstest.NewLog(f)
	folded := log.Fold()
	for _, q := range queries {
		view := stats.NewView(log.Product, log.Rank(log.Releases), q, folded.Figures(q.Range, q.Keeps(log.Product.Scheme())), today)
		differences := statstest.Compare(view.Tables(), log.NewTruth(q, today))
		for _, d := range differences[:min(10, len(differences))] {
			t.Errorf("%v %+v: %s", q.Range, q.Filter, d)
		}
	}
}

// The tables of a small fleet must be exact.
func TestViewSmallFleet(t *testing.T) {
	f := fleet.Fleet{Seed: 11, Instances: 40, Every: 6 * time.Hour, Remember: 0.3}
	compare(t, f, f.Range().To, queries(f.Range()))
	if !reduced() {
		compare(t, f, f.Range().To+1, queries(f.Range()))
	}
}

// The tables of a large fleet must be within the allowed errors.
func TestViewLargeFleet(t *testing.T) {
	f := fleet.Fleet{Seed: 12, Instances: 20_000, Growth: 60, Every: 12 * time.Hour, Remember: 0.5}
	if reduced() {
		f.Instances, f.Days, f.Every = 1500, 100, 24*time.Hour
	}
	compare(t, f, f.Range().To, queries(f.Range()))
}

// The tables must be true for unusual lists of releases.
func TestViewUnusualReleases(t *testing.T) {
	f := fleet.Fleet{Seed: 13, Days: 60, Instances: 50, Every: 6 * time.Hour}
	on := func(day int) time.Time { return f.Range().From.Time().AddDate(0, 0, day) }
	for name, releases := range map[string][]catalog.Release{
		"none":              {},
		"one release":       {{Tag: "1.0.0", Date: on(5)}},
		"released today":    {{Tag: "v1.0.0", Date: on(59)}},
		"pre-releases only": {{Tag: "v1.0.0-rc.1", Date: on(-50), Prerelease: true}, {Tag: "v1.0.0-rc.2", Date: on(-1), Prerelease: true}},
		"all withdrawn":     {{Tag: "v1.0.0", Date: on(-50), Withdrawn: true}, {Tag: "v1.1.0", Date: on(1), Withdrawn: true}},
		"no dates":          {{Tag: "v1.0.0"}, {Tag: "v1.1.0"}, {Tag: "v1.1.1"}, {Tag: "v2.0.0-beta", Prerelease: true}},
		"patch of an old line": {{Tag: "v1.0.0", Date: on(-90)}, {Tag: "v1.1.0", Date: on(-20)}, {Tag: "v1.2.0", Date: on(10)},
			{Tag: "v1.0.1", Date: on(30)}, {Tag: "v1.3.0-rc.1", Date: on(40), Prerelease: true}},
		"latest withdrawn": {{Tag: "v1.0.0", Date: on(-90)}, {Tag: "v1.1.0", Date: on(-60)}, {Tag: "v1.2.0", Date: on(-30), Withdrawn: true}},
		"future date":      {{Tag: "v1.0.0", Date: on(-90)}, {Tag: "v1.1.0", Date: on(500)}},
		"suffix":           {{Tag: "v1.0.0", Date: on(-90)}, {Tag: "v1.1.0-1", Date: on(-60)}, {Tag: "v1.1.0-2", Date: on(5)}},
	} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.Published = releases
			compare(t, f, f.Range().To, []stats.Query{
				{Range: f.Range().Last(28), Below: "v1.1.0"}, {Range: f.Range(), Compare: [2]string{"v1.0.0", "v1.1.0"}},
				{Range: f.Range(), Filter: stats.Filter{Version: "v1.1"}, Compare: [2]string{"1.0", "v1.1"}},
			})
		})
	}
}
