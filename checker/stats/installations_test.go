package stats_test

import (
	"slices"
	"strings"
	"testing"

	"relcheck/checker"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// addInstallations adds installations of a build on a day to totals, half of them new.
func addInstallations(f *rollup.Totals, version, os, day string, n int64) {
	b := rollup.Build{Version: version, Platform: checker.Platform{OS: os, Arch: "amd64"}}
	counts := rollup.DayInstallations{Day: date(day), Installations: rollup.Installations{Daily: n, Weekly: n, Monthly: n, New: n / 2}}
	on := rollup.Range{From: counts.Day, To: counts.Day}
	if f.Remembered.Days() > 0 {
		on = rollup.Range{From: min(f.Remembered.From, counts.Day), To: max(f.Remembered.To, counts.Day)}
	}
	f.Remembered, f.Known = on, rollup.Range{From: min(f.Known.From, on.From), To: max(f.Known.To, on.To)}
	for i := range f.Builds {
		if f.Builds[i].Build == b {
			f.Builds[i].Installations = append(f.Builds[i].Installations, counts)
			return
		}
	}
	f.Builds = append(f.Builds, rollup.BuildTotals{Build: b, Installations: []rollup.DayInstallations{counts}, Distinct: rollup.Distinct{Exceed: make([]int64, len(rollup.HeapLimits())+1)}})
}

// installed returns totals of four days with installations, and with instances that run older
// versions.
func installed(r rollup.Range) *rollup.Totals {
	f := totals(r, []reports{
		{"2026-03-10", 1, 60, "v1.0.0", "linux/amd64", 100 << 20},
		{"2026-03-11", 1, 60, "v1.0.0", "linux/amd64", 100 << 20},
		{"2026-03-12", 61, 100, "v1.1.0", "linux/amd64", 0},
	})
	f.Remembered = rollup.Range{From: 1, To: 0}
	for _, n := range []struct {
		version, os, day string
		n                int64
	}{
		{"v1.1.0", "linux", "2026-03-10", 9}, {"v1.2.0", "linux", "2026-03-10", 1},
		{"v1.1.0", "linux", "2026-03-11", 6}, {"v1.2.0", "windows", "2026-03-11", 4},
		{"v1.1.0", "linux", "2026-03-12", 4}, {"v1.2.0", "windows", "2026-03-12", 6},
		{"v1.2.0", "windows", "2026-03-13", 100},
	} {
		addInstallations(f, n.version, n.os, n.day, n.n)
	}
	return f
}

// TestCountedByInstallations checks that installations answer if there are any, by day where a
// table is about days, and that instances stay apart.
func TestCountedByInstallations(t *testing.T) {
	r := days("2026-03-10", "2026-03-13")
	v := newView(product(), stats.Query{Range: r}, installed(r), r.To)
	expect(t, v, "adoption_curves", `
		v1.2 0 0 0.000 1 0.100
		v1.2 1 0 0.000 4 0.400
		v1.2 2 0 0.000 6 0.600
		v1.1 37 0 0.000 10 1.000
		v1.1 38 0 0.000 10 1.000
		v1.1 39 40 1.000 10 1.000
		v1.0 68 60 1.000 10 1.000
		v1.0 69 60 1.000 10 1.000
		v1.0 70 40 1.000 10 1.000`)
	expect(t, v, "adoption_speed", `
		v1.2 03-10 2 2 0 0.000 6 0.600
		v1.1 02-01 - 2 - - - -
		v1.0 01-01 - 2 - - - -`)
	expect(t, v, "releases", `
		v1.3.0-rc.1 03-20 0 0.000 0.0 0.000 - false
		v1.2.1 03-15 0 0.000 0.0 0.000 - true
		v1.2.0 03-10 0 0.000 3.7 0.367 2 false
		v1.2.0-rc.1 03-08 0 0.000 0.0 0.000 - false
		v1.1.1 03-05 0 0.000 0.0 0.000 - false
		v1.1.0 02-01 40 0.400 6.3 0.633 - false
		v1.0.0 01-01 60 0.600 0.0 0.000 - false`)
	expect(t, v, "platform_versions", `
		linux amd64 v1.2.0 0 0.000 0.3 0.050
		linux amd64 v1.1.0 40 0.400 6.3 0.950
		linux amd64 v1.0.0 60 0.600 0.0 0.000
		windows amd64 v1.2.0 0 - 3.3 1.000`)
	expect(t, v, "droppable", `
		0.010 v1.1 60 0.600 0.0 0.000 v1.2 0.633
		0.050 v1.1 60 0.600 0.0 0.000 v1.2 0.633
		0.100 v1.1 60 0.600 0.0 0.000 v1.2 0.633
		0.200 v1.1 60 0.600 0.0 0.000 v1.2 0.633`)
	if _, got := v.Droppable(stats.Show); strings.Join(got, " ") != "No installation runs anything below v1.1. Below v1.2 it would be 63.3 %. But 60.0 % of the instances that cannot remember run an older version." {
		t.Errorf("got %q", got)
	}
}

// TestInstallationsOfOneDay checks that the first day is shown before it is over, and marked.
func TestInstallationsOfOneDay(t *testing.T) {
	r := days("2026-03-07", "2026-03-13")
	f := totals(r, []reports{{"2026-03-12", 1, 2, "v1.0.0", "linux/amd64", 0}, {"2026-03-13", 1, 3, "v1.0.0", "linux/amd64", 0}})
	f.Remembered = rollup.Range{From: 1, To: 0}
	addInstallations(f, "v1.0.0", "linux", "2026-03-13", 8)
	v := newView(product(), stats.Query{Range: r}, f, r.To)
	expect(t, v, "installations", `
		today so far 03-13 03-13 8 4 4 - - 3
		week 03-02 03-08 - - - - - -
		four weeks 01-19 02-15 - - - - - -`)
	if note := v.Table("installations").Note; !strings.Contains(note, "not over yet") {
		t.Errorf("got note %s, want it to say that the day is not over", note)
	}
	for what, v := range map[string]*stats.View{
		"the next day":          newView(product(), stats.Query{Range: r}, f, r.To+1),
		"a range before today":  newView(product(), stats.Query{Range: days("2026-03-07", "2026-03-12")}, f, r.To),
		"installations earlier": newView(product(), stats.Query{Range: r}, installed(r), r.To),
	} {
		for row := range v.Table("installations").All() {
			if row.Text(stats.ColPeriod) == stats.TodaySoFar {
				t.Errorf("%s: got row %v, want finished periods only", what, row.Values)
			}
		}
	}
}

// TestDayBefore checks that a day is compared with the same day of the week before.
func TestDayBefore(t *testing.T) {
	r := days("2026-03-05", "2026-03-14")
	f := totals(r, nil)
	f.Remembered = rollup.Range{From: 1, To: 0}
	for day, n := range map[string]int64{"2026-03-06": 8, "2026-03-12": 2, "2026-03-13": 4} {
		addInstallations(f, "v1.0.0", "linux", day, n)
	}
	rows := slices.Collect(newView(product(), stats.Query{Range: r}, f, r.To).Table("installations").All())
	if len(rows) == 0 || rows[0].Text(stats.ColPeriod) != stats.FinishedDay || rows[0].Number(stats.ColBefore) != 8 || rows[0].Float(stats.ColChange) != -0.5 {
		t.Errorf("got %v, want 8 before the last day", rows)
	}
}

// TestHeapsOfInstallations checks that the heaps of installations, which are known by day, answer
// how many exceed a heap.
func TestHeapsOfInstallations(t *testing.T) {
	r := days("2026-03-10", "2026-03-13")
	f := installed(r)
	for i := range f.Builds {
		if f.Builds[i].Version == "v1.1.0" {
			f.Builds[i].Heaps.Add(rollup.HeapBucket(300<<20), 40)
		}
	}
	v := newView(product(), stats.Query{Range: r, Above: 128 << 20}, f, r.To)
	table := v.Table("heap_above")
	if got, want := v.Query.Answer(table, stats.Show).Text, "The heap exceeded 128 MiB on 25.0 % of the days of installations and instances that reported one."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	last := 0.0
	for row := range table.All() {
		last = row.Float(stats.ColBytes)
		if last == 128<<20 && (row.Number(stats.ColInstances) != 0 || row.Number(stats.ColInstanceDays) != 40) {
			t.Errorf("got %v, want 0 instances and 40 days", row.Values)
		}
	}
	if last != 384<<20 {
		t.Errorf("the last row is about %g bytes, want the first limit above all heaps of installations", last)
	}
}
