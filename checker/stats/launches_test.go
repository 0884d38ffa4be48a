package stats_test

import (
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// TestLaunches checks which minor lines or releases stand for a version, whatever the
// query.
func TestLaunches(t *testing.T) {
	v := fleetView("2026-03-16")
	for version, want := range map[string]string{"v1.2.0": "v1.2", "1.2.0-rc.1": "v1.2", "1.1.0-istio": "v1.1", "v1.0.0": "v1.0", "9.9.9": "", "1.3.0-rc.1": "", "dev": "", "other": ""} {
		if got := v.LaunchOf(version); got != want {
			t.Errorf("LaunchOf(%q) = %q, want %q", version, got, want)
		}
	}
	few := catalog.Listing{Releases: []catalog.Release{release("v1.0.0", "2026-03-01"), release("v1.0.1", "2026-03-02"), release("v1.1.0", "")}}
	r := days("2026-03-02", "2026-03-03")
	v = newView(few, stats.Query{Range: r}, totals(r, nil), r.To)
	if got := v.Launches(); v.ByLine() || len(got) != 3 || got[0].Name != "v1.1.0" || got[0].Day != 0 || got[2].Day != date("2026-03-01") {
		t.Errorf("with two lines: got launches %+v by line %t, want the three releases", got, v.ByLine())
	}
	for version, want := range map[string]string{"1.0.1": "v1.0.1", "1.0.1-istio": "", "1.0.2": ""} {
		if got := v.LaunchOf(version); got != want {
			t.Errorf("LaunchOf(%q) = %q, want %q", version, got, want)
		}
	}
}

// TestDroppable checks below which versions less than a share of the instances run.
func TestDroppable(t *testing.T) {
	r := days("2026-03-02", "2026-03-03")
	all := []reports{
		{"2026-03-02", 0, 2, "v1.0.0", "linux/amd64", 0},
		{"2026-03-02", 10, 15, "v1.1.0-istio", "linux/amd64", 0},
		{"2026-03-02", 100, 190, "v1.2.0", "linux/amd64", 0},
	}
	expect(t, newView(product(), stats.Query{Range: r}, totals(r, all), date("2026-03-16")), "droppable", `
		0.010 v1.0 0 0.000 - - v1.1 0.030
		0.050 v1.1 3 0.030 - - v1.2 0.090
		0.100 v1.2 9 0.090 - - - -
		0.200 v1.2 9 0.090 - - - -`)
	expect(t, newView(product(), stats.Query{Range: r}, totals(r, nil), r.To), "droppable", "")
	expect(t, newView(catalog.Listing{}, stats.Query{Range: r}, totals(r, all), r.To), "droppable", "")
}

// TestAdoptionCurves checks the spread of releases by days since their release, with days
// outside the range and without today.
func TestAdoptionCurves(t *testing.T) {
	r := days("2026-03-12", "2026-03-14")
	v := newView(product(), stats.Query{Range: r}, totals(r, fleet()), r.To)
	outside := v.SpreadDays()
	if want := days("2026-03-10", "2026-03-11"); len(outside) == 0 || outside[0] != want {
		t.Errorf("got days %v outside the range, want %v first", outside, want)
	}
	var days []rollup.BuildTotals
	add := func(version, day string, instances int64) {
		days = append(days, rollup.BuildTotals{Build: rollup.Build{Version: version}, Days: []rollup.Count{{Day: date(day), Instances: instances}}})
	}
	add("1.2.0", "2026-03-10", 1)
	add("1.1.0", "2026-03-10", 3)
	add("1.1.0", "2026-02-03", 1)
	add("1.0.0", "2026-02-03", 2)
	v.AddDays(days)
	expect(t, v, "adoption_curves", `
		v1.2 0 1 0.250 - -
		v1.2 2 3 0.750 - -
		v1.2 3 2 0.667 - -
		v1.1 2 1 0.333 - -
		v1.1 37 4 1.000 - -
		v1.1 39 4 1.000 - -
		v1.1 40 2 0.667 - -
		v1.0 33 3 1.000 - -
		v1.0 68 4 1.000 - -
		v1.0 70 4 1.000 - -
		v1.0 71 2 0.667 - -`)
	expect(t, v, "adoption_speed", `
		v1.2 03-10 2 3 2 0.667 - -
		v1.1 02-01 - 3 - - - -
		v1.0 01-01 - 3 - - - -`)
	if of := newView(product(), stats.Query{Range: r, Site: "factory"}, totals(r, fleet()), r.To).SpreadDays(); len(of) != len(outside) {
		t.Errorf("of a site: got days %v outside the range, want %v", of, outside)
	}
	q := stats.Query{Range: r, Filter: stats.Filter{Version: "v1.2"}}
	if v := newView(product(), q, totals(r, fleet()), r.To); v.SpreadDays() != nil || len(v.Table("adoption_curves").Rows) != 0 {
		t.Error("with a filter by version: got curves, want none")
	}
}
