package stats_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

func TestTableNames(t *testing.T) {
	v := fleetView("2026-03-16")
	var names []string
	for _, table := range v.Tables() {
		names = append(names, table.Name)
		if table.Title == "" || table.Note == "" || len(table.Columns) == 0 {
			t.Errorf("%s: no title, note or columns", table.Name)
		}
		seen := map[string]bool{}
		for _, c := range table.Columns {
			if c.Head == "" || seen[c.Name] {
				t.Errorf("%s: column %s has no head or is duplicate", table.Name, c.Name)
			}
			seen[c.Name] = true
		}
	}
	if !slices.Equal(names, stats.TableNames) {
		t.Errorf("got tables %v, want %v", names, stats.TableNames)
	}
	if v.Table("") != nil || v.Table("Summary") != nil {
		t.Error("got tables of unknown names")
	}
}

func TestTablesWithoutReports(t *testing.T) {
	r := days("2026-03-02", "2026-03-03")
	for _, l := range []catalog.Listing{{}, product()} {
		v := newView(l, stats.Query{Range: r}, totals(r, nil), date("2026-03-03"))
		expect(t, v, "summary", `
			day 03-03 03-03 0 - - 0 0
			7 days 02-25 03-03 0 - - - -
			28 days 02-04 03-03 0 - - - -
			range 03-02 03-03 0 - - 0 0`)
		for _, name := range []string{"daily", "weekly", "monthly", "adoption", "lines", "versions", "behind", "platforms", "os",
			"arch", "platform_versions", "heap", "heap_histogram", "heap_above", "heap_change", "lifetimes"} {
			expect(t, v, name, "")
		}
	}
}

// TestNoLatest checks that nothing is behind if no release can be the latest.
func TestNoLatest(t *testing.T) {
	r := days("2026-03-02", "2026-03-15")
	l := product()
	for i := range l.Releases {
		l.Releases[i].Withdrawn = !l.Releases[i].Prerelease
	}
	for last, l := range map[string]catalog.Listing{"unknown - 15 1.000 - -\nwithdrawn release - 0 0.000 - -": {}, "unknown - 4 0.267 - -\nwithdrawn release - 11 0.733 - -": l} {
		v := newView(l, stats.Query{Range: r}, totals(r, fleet()), date("2026-03-16"))
		if v.Latest != "" {
			t.Errorf("got latest release %s", v.Latest)
		}
		expect(t, v, "behind", "- 15 1.000 - -")
		expect(t, v, "latest", `
			latest release - 0 - - -
			latest minor line - 0 - - -
			older - 0 - - -
			`+last)
		if text := text(v.Table("lines")); strings.Contains(text, "true") || strings.Contains(text, "false") {
			t.Errorf("column latest has values:\n%s", text)
		}
	}
}

// TestFixOfAnOldLine checks that a fix of an old line that was released after the latest
// release is behind by releases, and not by days. A version that is older than all releases,
// or a release without a date, is an unknown number of days behind.
func TestFixOfAnOldLine(t *testing.T) {
	r := days("2026-03-02", "2026-03-02")
	l := catalog.Listing{Releases: []catalog.Release{release("1.2.0", "2026-01-10"), release("1.1.9", "2026-02-20"), release("1.1.8", "")}}
	v := newView(l, stats.Query{Range: r}, totals(r, []reports{
		{"2026-03-02", 1, 1, "1.1.9", "linux/amd64", 0},
		{"2026-03-02", 2, 2, "v1.1.8", "linux/amd64", 0},
		{"2026-03-02", 3, 3, "v0.1.0", "linux/amd64", 0},
	}), r.To)
	expect(t, v, "versions", `
		1.1.9 02-20 1 0.333 - - 1 1 0 - false
		1.1.8 - 1 0.333 - - 1 2 - - false
		v0.1.0 - 1 0.333 - - 1 3 - - false`)
}

// TestHostileVersions checks versions that any client may report.
func TestHostileVersions(t *testing.T) {
	r := days("2026-03-02", "2026-03-02")
	v := newView(product(), stats.Query{Range: r}, totals(r, []reports{
		{"2026-03-02", 1, 1, "-1+1", "linux/amd64", math.MaxInt64},
		{"2026-03-02", 2, 2, "--", "linux/amd64", 1},
		{"2026-03-02", 3, 3, "+cmd", "linux/amd64", 0},
		{"2026-03-02", 4, 4, "other", "other/other", -1},
		{"2026-03-02", 5, 5, "v1.1.0+x", "linux/amd64", 0},
		{"2026-03-02", 6, 6, "1.1", "linux/amd64", 0},
		{"2026-03-02", 7, 7, "v99999999999999999999.0.0", "linux/amd64", 0},
		{"2026-03-02", 8, 8, "vv1.0.0", "linux/amd64", 0},
		{"2026-03-02", 9, 9, "1.0.0.0", "linux/amd64", 0},
	}), date("2026-03-02"))
	expect(t, v, "versions", `
		v99999999999999999999.0.0 - 1 0.111 - - 1 0 0 - false
		v1.1.0+x - 1 0.111 - - 1 0 0 - false
		v1.1 - 1 0.111 - - 1 0 0 - false
		v1.0.0.0 - 1 0.111 - - 1 1 31 - false
		+cmd - 1 0.111 - - 1 - - - false
		-- - 1 0.111 - - 1 - - 0.99 false
		-1+1 - 1 0.111 - - 1 - - 9.25e+18 false
		other - 1 0.111 - - 1 - - 0 false
		vv1.0.0 - 1 0.111 - - 1 - - - false`)
	expect(t, v, "lines", `
		v99999999999999999999.0 1 0.111 - - false
		v1.1 2 0.222 - - true
		v1.0 1 0.111 - - false
		other 5 0.556 - - false`)
	for _, table := range v.Tables() {
		checkKinds(t, table)
	}
}

// TestUnfinishedDay checks that a day that is not over is not compared with the day before, and
// does not count for the adoption speed of a release.
func TestUnfinishedDay(t *testing.T) {
	r := days("2026-03-11", "2026-03-12")
	v := newView(product(), stats.Query{Range: r}, totals(r, []reports{
		{"2026-03-09", 1, 9, "v1.0.0", "linux/amd64", 0},
		{"2026-03-10", 1, 9, "v1.0.0", "linux/amd64", 0},
		{"2026-03-11", 1, 9, "v1.0.0", "linux/amd64", 0},
		{"2026-03-12", 10, 11, "v1.2.0", "linux/amd64", 0},
	}), date("2026-03-12"))
	expect(t, v, "summary", `
		day 03-12 03-12 2 9 - 2 0
		7 days 03-06 03-12 11 - - - -
		28 days 02-13 03-12 11 - - - -
		range 03-11 03-12 11 9 0.222 11 0`)
	for _, name := range []string{"summary", "daily", "adoption"} {
		if note := v.Table(name).Note; !strings.Contains(note, "not over yet") {
			t.Errorf("%s: got note %s, want it to say that the day is not over", name, note)
		}
	}
	one := days("2026-03-12", "2026-03-12")
	v = newView(product(), stats.Query{Range: one}, totals(one, []reports{{"2026-03-12", 1, 2, "v1.2.0", "linux/amd64", 0}}), date("2026-03-12"))
	expect(t, v, "daily", "03-12 2 2 0")
	expect(t, v, "weekly", "")
	l := catalog.Listing{Releases: []catalog.Release{release("v1.2.0", "2026-03-12")}}
	v = newView(l, stats.Query{Range: one}, totals(one, []reports{{"2026-03-12", 1, 2, "v1.2.0", "linux/amd64", 0}}), one.To)
	expect(t, v, "releases", "v1.2.0 03-12 2 1.000 - - - false")
	v = newView(l, stats.Query{Range: one}, totals(one, []reports{{"2026-03-12", 1, 2, "v1.2.0", "linux/amd64", 0}}), one.To+1)
	expect(t, v, "releases", "v1.2.0 03-12 2 1.000 - - 0 false")
}

// groupColumns has the tables whose shares have the sum 1, with the number of leading
// columns that group their rows.
var groupColumns = map[string]int{"adoption": 1, "lines": 0, "versions": 0, "behind": 0, "behind_days": 0, "platforms": 0, "os": 0,
	"arch": 0, "platform_versions": 2, "heap_histogram": 0}

func someFleet(t *rapid.T) (all []reports) {
	versions := rapid.SampledFrom([]string{"v1.0.0", "1.0.0", "1.1.0", "v1.1.1", "1.2.0", "1.2.1", "1.3.0-rc.1", "1.2.0-x", "2.0.0", "dev", "other"})
	platforms := rapid.SampledFrom([]string{"linux/amd64", "linux/arm64", "darwin/arm64", "other/other"})
	next := 0
	for range rapid.IntRange(0, 20).Draw(t, "groups") {
		count := rapid.IntRange(1, 40).Draw(t, "instances")
		all = append(all, reports{(date("2026-03-01") + rollup.Day(rapid.IntRange(0, 30).Draw(t, "day"))).String(), next, next + count - 1,
			versions.Draw(t, "version"), platforms.Draw(t, "platform"), rapid.SampledFrom([]int64{0, -1, 1, 1000, 1 << 20, 3 << 20, 1 << 40}).Draw(t, "heap")})
		next += count
	}
	return all
}

func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := days("2026-03-05", "2026-03-25")
		v := newView(product(), stats.Query{Range: r}, totals(r, someFleet(t)), date("2026-03-26"))
		for _, table := range v.Tables() {
			checkKinds(t, table)
			checkShares(t, table)
		}
	})
}

func checkShares(t *rapid.T, table *stats.Table) {
	n, ok := groupColumns[table.Name]
	at := slices.IndexFunc(table.Columns, func(c stats.Column) bool { return c.Name == "share" })
	if !ok || at < 0 {
		return
	}
	sums := map[[2]any]float64{}
	for _, row := range table.Rows {
		if row[at] == nil {
			continue
		}
		var group [2]any
		copy(group[:], row[:n])
		sums[group] += row[at].(float64)
	}
	for group, sum := range sums {
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("%s: group %v: got sum of shares %f, want 1", table.Name, group, sum)
		}
	}
}
