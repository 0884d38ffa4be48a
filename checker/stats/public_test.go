package stats_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

var publicToday = date("2026-03-31")

// publicView returns the public view of some reports.
func publicView(lastDays int, threshold int64, all []reports) *stats.View {
	r := rollup.Range{From: publicToday - 1, To: publicToday - 1}.Last(lastDays)
	return newView(product(), stats.Query{Range: r, LastDays: lastDays}, totals(r, all), publicToday).Public(threshold)
}

// publicFleet has two versions with many instances, and three with few.
func publicFleet() []reports {
	const mib = 1 << 20
	return []reports{
		{"2026-03-09", 0, 24, "v1.2.0", "linux/amd64", 100 * mib},
		{"2026-03-10", 30, 41, "v1.1.0", "linux/arm64", 200 * mib},
		{"2026-03-17", 50, 58, "v1.0.0", "windows/amd64", 300 * mib},
		{"2026-03-18", 60, 64, "v0.9.0", "darwin/arm64", 0},
		{"2026-03-18", 70, 73, "dev", "other/other", 0},
	}
}

func TestPublic(t *testing.T) {
	v := publicView(28, 10, publicFleet())
	for name, want := range map[string]string{
		"summary": `
			7 days 03-24 03-30 0 10 -1.000
			28 days 03-03 03-30 50 - -
			range 03-03 03-30 50 - -`,
		"weekly": `
			03-09 03-15 30
			03-16 03-22 10
			03-23 03-29 0`,
		"adoption": `
			03-09 v1.2.0 20 0.667
			03-09 v1.1.0 10 0.333
			03-16 other 10 1.000`,
		"lines": `
			v1.2 20 0.500 true
			v1.1 10 0.250 false
			other 10 0.250 false`,
		"latest": `
			latest release v1.2.0 20 0.500
			latest minor line v1.2 20 0.500
			older - 20 0.500`,
		"versions": `
			v1.2.0 03-10 20 0.500 0 0 false
			v1.1.0 02-01 10 0.250 2 37 false
			other - 10 0.250 - - -`,
		"behind": `
			0 20 0.500
			2 10 0.250
			- 10 0.250`,
		"platforms": `
			linux amd64 20 0.500
			linux arm64 10 0.250
			other other 10 0.250`,
		"os": `
			linux 30 0.750
			other 10 0.250`,
		"arch": `
			amd64 30 0.750
			arm64 10 0.250`,
	} {
		expect(t, v, name, want)
	}
	for _, name := range []string{"daily", "monthly", "releases", "deprecation", "behind_days", "platform_versions", "heap", "heap_histogram",
		"heap_above", "heap_change", "lifetimes"} {
		if v.Table(name) != nil {
			t.Errorf("got table %s in a public view", name)
		}
	}
	if len(v.Tables()) != 10 || !v.AsOf.IsZero() {
		t.Errorf("got %d tables as of %v, want 10 without a date", len(v.Tables()), v.AsOf)
	}
}

// TestPublicRefusesOtherQueries checks that a public view allows no filters and only few
// ranges: a client could subtract the counts of two queries.
func TestPublicRefusesOtherQueries(t *testing.T) {
	last := rollup.Range{From: publicToday - 28, To: publicToday - 1}
	for _, q := range []stats.Query{
		{Range: rollup.Range{From: last.From, To: last.To + 1}},
		{Range: rollup.Range{From: last.From + 1, To: last.To + 1}},
		{Range: rollup.Range{From: last.From - 1, To: last.To - 1}},
		{Range: rollup.Range{From: last.From + 1, To: last.To}},
		{Range: last, Filter: stats.Filter{OS: "linux"}},
		{Range: last, Filter: stats.Filter{Arch: "amd64"}},
		{Range: last, Filter: stats.Filter{Version: "v1.2.0"}},
	} {
		v := newView(product(), q, totals(q.Range, publicFleet()), publicToday).Public(10)
		if len(v.Tables()) != 0 || v.Table("summary") != nil {
			t.Errorf("%+v: got tables", q)
		}
	}
	q := stats.Query{Range: last, Below: "v1.0.0", Above: 1, Compare: [2]string{"v1.0.0", "v1.1.0"}}
	if v := newView(product(), q, totals(last, publicFleet()), publicToday).Public(10); len(v.Tables()) == 0 || v.Query != (stats.Query{Range: last}) {
		t.Errorf("got query %+v, want only the range", v.Query)
	}
}

// counts returns the counts of a view, by table, row and column.
func counts(t rapid.TB, v *stats.View) map[string]int64 {
	all := map[string]int64{}
	for _, table := range v.Tables() {
		for _, row := range table.Rows {
			var name []string
			for i, c := range table.Columns {
				switch n, _ := row[i].(int64); {
				case c.Name == "instances", c.Name == "before":
					key := table.Name + " " + strings.Join(name, " ") + " " + c.Name
					if _, duplicate := all[key]; duplicate {
						t.Errorf("got duplicate row %s", key)
					}
					all[key] = n
				case c.Kind == stats.Text:
					s, _ := row[i].(string)
					name = append(name, s)
				case c.Name == "releases", c.Name == "day", c.Name == "from":
					name = append(name, text(&stats.Table{Columns: []stats.Column{c}, Rows: [][]any{{row[i]}}}))
				}
			}
		}
	}
	return all
}

// TestPublicThreshold checks that no count, and no difference of two counts of any range, is
// below the threshold.
func TestPublicThreshold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := someFleet(t)
		threshold := rapid.Int64Range(2, 30).Draw(t, "threshold")
		var numbers []int64
		for _, lastDays := range []int{7, 28, 90, 365} {
			v := publicView(lastDays, threshold, all)
			for _, table := range v.Tables() {
				checkKinds(t, table)
				checkShares(t, table)
				checkColumns(t, table)
			}
			for _, n := range counts(t, v) {
				numbers = append(numbers, n)
			}
		}
		for _, a := range numbers {
			for _, b := range numbers {
				if few := func(n int64) bool { return 0 < n && n < threshold }; few(a) || few(a-b) {
					t.Fatalf("got count %d or difference %d-%d below the threshold %d", a, a, b, threshold)
				}
			}
		}
	})
}

func checkColumns(t *rapid.T, table *stats.Table) {
	for _, c := range table.Columns {
		if slices.Contains([]string{"reports", "checks"}, c.Name) || c.Kind == stats.Bytes {
			t.Errorf("got column %s in public table %s", c.Name, table.Name)
		}
	}
}

var (
	someVersions  = rapid.SampledFrom([]string{"1.0.0", "1.1.0", "1.1.1", "1.2.0", "1.2.1", "1.2.0-rc.1", "dev"})
	somePlatforms = rapid.SampledFrom([]string{"linux/amd64", "linux/arm64", "darwin/arm64", "other/other"})
)

// tens returns groups of instances whose sizes are multiples of ten.
func tens(t *rapid.T) (all []reports) {
	day := func() string { return (publicToday - rollup.Day(rapid.IntRange(1, 60).Draw(t, "day"))).String() }
	for i := range rapid.IntRange(1, 8).Draw(t, "groups") {
		version, platform := someVersions.Draw(t, "version"), somePlatforms.Draw(t, "platform")
		n := 10 * rapid.IntRange(1, 2).Draw(t, "tens")
		all = append(all, reports{day(), 100 * i, 100*i + n - 1, version, platform, 1 << 20})
	}
	return all
}

// few returns reports of fewer than ten instances of any build, on any day. They may be
// earlier than all others, and of a version that no other instance runs.
func few(t *rapid.T) reports {
	version := rapid.OneOf(someVersions, rapid.SampledFrom([]string{"0.0.1", "1.0.1", "1.3.0", "9.9.9", "-1+1", "other"}))
	platform := rapid.OneOf(somePlatforms, rapid.SampledFrom([]string{"plan9/arm", "linux/arm"}))
	day := publicToday - rollup.Day(rapid.OneOf(rapid.IntRange(0, 70), rapid.IntRange(0, 800)).Draw(t, "few since"))
	return reports{day.String(), 10_000, 10_000 + rapid.IntRange(0, 8).Draw(t, "few"), version.Draw(t, "few of"), platform.Draw(t, "few on"), 1 << 20}
}

// TestPublicHidesFew checks that a few additional instances, fewer than the threshold, do not
// change a public view.
func TestPublicHidesFew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, more := tens(t), few(t)
		for _, lastDays := range []int{7, 28, 90, 365} {
			before, after := publicView(lastDays, 10, all), publicView(lastDays, 10, append(slices.Clone(all), more))
			if len(before.Tables()) != len(after.Tables()) || before.Latest != after.Latest {
				t.Error("the tables or the latest release changed")
			}
			for i, table := range before.Tables() {
				if got := after.Tables()[i]; text(got) != text(table) || got.Note != table.Note {
					t.Errorf("%s of %d days: got\n%swant\n%s", table.Name, lastDays, text(got), text(table))
				}
			}
			if before.Known != after.Known {
				t.Errorf("got known days %v, want %v", after.Known, before.Known)
			}
		}
	})
}

// TestPublicVersions checks that unreleased versions count as other, even with many instances.
// Withdrawn releases and pre-releases are released versions.
func TestPublicVersions(t *testing.T) {
	v := publicView(28, 10, []reports{
		{"2026-03-18", 0, 19, "0.70.0-acme-jdoe-laptop", "linux/amd64", 0},
		{"2026-03-18", 100, 119, "v7.7.7", "linux/amd64", 0},
		{"2026-03-18", 200, 219, "acme", "linux/amd64", 0},
		{"2026-03-18", 300, 319, "1.0.0-acme", "linux/amd64", 0},
		{"2026-03-18", 400, 419, "1.2.1", "linux/amd64", 0},
		{"2026-03-18", 500, 519, "v1.3.0-rc.1", "linux/amd64", 0},
		{"2026-03-18", 600, 619, "1.0.0+acme", "linux/amd64", 0},
		{"2026-03-18", 700, 719, "v1.0.0", "linux/amd64", 0},
	})
	for name, want := range map[string]string{
		"adoption": `
			03-16 v1.3.0-rc.1 20 0.125
			03-16 v1.2.1 20 0.125
			03-16 v1.0.0 20 0.125
			03-16 other 100 0.625`,
		"lines": `
			v1.3 20 0.125 false
			v1.2 20 0.125 true
			v1.0 20 0.125 false
			other 100 0.625 false`,
		"latest": `
			latest release v1.2.0 20 0.125
			latest minor line v1.2 20 0.125
			older - 20 0.125
			unknown - 100 0.625
			withdrawn release - 20 0.125`,
		"versions": `
			v1.3.0-rc.1 03-20 20 0.125 0 0 false
			v1.2.1 03-15 20 0.125 - - true
			v1.0.0 01-01 20 0.125 3 68 false
			other - 100 0.625 - - -`,
		"behind": `
			0 20 0.125
			3 20 0.125
			- 120 0.750`,
	} {
		expect(t, v, name, want)
	}
}

// TestPublicKnown checks that the known days do not reveal a single early report.
func TestPublicKnown(t *testing.T) {
	all := append(publicFleet(), reports{"2025-12-01", 500, 500, "v1.0.0", "linux/amd64", 1 << 20})
	for lastDays, want := range map[int]rollup.Range{
		7:  {From: 1, To: 0}, // no reports
		28: days("2026-03-09", "2026-03-30"), 365: days("2026-03-09", "2026-03-30"),
	} {
		if got := publicView(lastDays, 10, all).Known; got != want {
			t.Errorf("%d days: got known days %v, want %v", lastDays, got, want)
		}
	}
	expect(t, publicView(90, 10, all), "summary", `
		7 days 03-24 03-30 0 10 -1.000
		28 days 03-03 03-30 50 - -
		range 12-31 03-30 50 - -`)
}

// TestPublicOfFew checks that nothing is shown of a product with few instances, not even the
// time of its reports.
func TestPublicOfFew(t *testing.T) {
	v := publicView(28, 10, []reports{{"2026-03-20", 1, 9, "v1.2.0", "linux/amd64", 1 << 20}})
	for _, table := range v.Tables() {
		for _, row := range table.Rows {
			for i, c := range table.Columns {
				if n, _ := row[i].(int64); c.Kind == stats.Number && n != 0 || c.Kind == stats.Bytes || c.Kind == stats.Share && row[i] != nil {
					t.Errorf("got row %v in %s", row, table.Name)
				}
			}
		}
	}
	if v.Known.Days() > 0 {
		t.Errorf("got known days %v, want none", v.Known)
	}
}
