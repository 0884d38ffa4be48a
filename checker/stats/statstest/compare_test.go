package statstest_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/stats/statstest"
)

// Compare must find any error in the statistics or in the tables.
func TestCompare(t *testing.T) {
	f := fleet.Fleet{Seed: 21, Days: 190, Instances: 100, Every: 12 * time.Hour, Remember: 0.3}
	log, q := statstest.NewLog(f), stats.Query{Range: f.Range().Last(90), Above: 1 << 40}
	folded, truth := log.Fold(), log.NewTruth(q, q.To+1)
	figures := func() *rollup.Totals { // sorted by number of reports, descending
		f := folded.Figures(q.Range, q.Keeps(log.Product.Scheme()))
		slices.SortStableFunc(f.Builds, func(a, b rollup.BuildTotals) int { return int(b.Reports - a.Reports) })
		return f
	}
	view := func(f *rollup.Totals, q stats.Query) []*stats.Table {
		return stats.NewView(log.Product, log.Rank(log.Releases), q, f, q.To+1).Tables()
	}
	if got := statstest.Compare(view(figures(), q), truth); len(got) > 0 {
		t.Fatalf("correct tables: got differences %q, want none", got)
	}
	for name, corrupt := range map[string]func(*rollup.Totals){
		"missing build":          func(f *rollup.Totals) { f.Builds = f.Builds[1:] },
		"duplicate build":        func(f *rollup.Totals) { f.Builds = append(f.Builds, f.Builds[0]) },
		"missing day":            func(f *rollup.Totals) { f.Builds[0].Days = f.Builds[0].Days[1:] },
		"missing week":           func(f *rollup.Totals) { f.Builds[0].Weeks = nil },
		"missing month":          func(f *rollup.Totals) { f.Builds[0].Months = nil },
		"extra instance":         func(f *rollup.Totals) { f.Builds[0].Days[3].Instances++ },
		"extra report":           func(f *rollup.Totals) { f.Builds[0].Days[3].Reports++ },
		"extra check":            func(f *rollup.Totals) { f.Builds[0].Days[3].Checks++ },
		"extra start":            func(f *rollup.Totals) { f.Builds[0].Days[3].Started++ },
		"extra repeated report":  func(f *rollup.Totals) { f.Builds[0].Days[3].Repeated++ },
		"extra installation":     func(f *rollup.Totals) { f.Builds[0].Installations[40].Daily++ },
		"extra new one":          func(f *rollup.Totals) { f.Builds[0].Installations[40].New++ },
		"extra one back":         func(f *rollup.Totals) { f.Builds[0].Installations[40].Back28++ },
		"missing installations":  func(f *rollup.Totals) { f.Builds[0].Installations = nil },
		"remembered too short":   func(f *rollup.Totals) { f.Remembered.From += 150 },
		"wrong recent week":      func(f *rollup.Totals) { f.Builds[0].Recent.Week += 50 },
		"wrong range before":     func(f *rollup.Totals) { f.Builds[0].Recent.RangeBefore += 5000 },
		"wrong version":          func(f *rollup.Totals) { f.Builds[0].Version = "v0.1.0" },
		"wrong platform":         func(f *rollup.Totals) { f.Builds[0].OS = "plan9" },
		"known range too short":  func(f *rollup.Totals) { f.Known.From += 50 },
		"missing heaps":          func(f *rollup.Totals) { f.Builds[0].Heaps = rollup.Heaps{} },
		"extra heap":             func(f *rollup.Totals) { f.Builds[0].Heaps.Add(900, 1) },
		"heaps in wrong buckets": func(f *rollup.Totals) { shift(&f.Builds[0].Heaps, 2) },
	} {
		corrupted := figures()
		corrupt(corrupted)
		if len(statstest.Compare(view(corrupted, q), truth)) == 0 {
			t.Errorf("%s: got no differences, want some", name)
		}
	}
	other := q
	other.OS = "linux"
	if len(statstest.Compare(view(folded.Figures(q.Range, other.Keeps(log.Product.Scheme())), other), truth)) == 0 {
		t.Error("wrong filter: got no differences, want some")
	}
	compareCorruptTables(t, view(figures(), q), truth)
}

// shift moves all heaps up by a number of buckets.
func shift(h *rollup.Heaps, buckets int) {
	var moved rollup.Heaps
	for bucket, n := range h.All() {
		moved.Add(bucket+buckets, n)
	}
	*h = moved
}

// compareCorruptTables corrupts a value of every column of every table, then the rows of
// every table, and checks that Compare finds each error.
func compareCorruptTables(t *testing.T, tables []*stats.Table, truth *statstest.Truth) {
	wantDifference := func(table, corruption string) {
		t.Helper()
		if got := statstest.Compare(tables, truth); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, table+":") }) {
			t.Errorf("%s: %s: got differences %q, want one of this table", table, corruption, got)
		}
	}
	for i, table := range tables {
		if slices.Contains(statstest.DerivedTables, table.Name) {
			continue
		}
		if len(table.Rows) < 2 {
			t.Errorf("%s: got %d rows, want at least 2", table.Name, len(table.Rows))
		}
		rows := table.Rows
		for column := range table.Columns {
			row := slices.IndexFunc(rows, func(row []any) bool { return row[column] != nil })
			if row < 0 {
				t.Errorf("%s: got no value of %s, want one", table.Name, table.Columns[column].Name)
				continue
			}
			correct, corruptions := rows[row][column], []any{wrong(rows[row][column]), nil, 'x'}
			if reduced() {
				corruptions = corruptions[:1]
			}
			for _, value := range corruptions {
				rows[row][column] = value
				wantDifference(table.Name, fmt.Sprintf("%s %v instead of %v", table.Columns[column].Name, value, correct))
			}
			rows[row][column] = correct
		}
		table.Rows = rows[1:]
		wantDifference(table.Name, "missing row")
		table.Rows = append(slices.Clone(rows), rows[0])
		wantDifference(table.Name, "duplicate row")
		tables[i] = &stats.Table{Name: "unknown"}
		wantDifference(table.Name, "missing table")
		tables[i] = table
		table.Rows = rows
		if !slices.Contains([]string{"platforms", "os", "arch", "platform_versions", "installation_platforms", "checks", "heap"}, table.Name) {
			slices.Reverse(rows)
			wantDifference(table.Name, "reversed rows")
			slices.Reverse(rows)
		}
	}
}

// wrong returns a different value of the same type.
func wrong(value any) any {
	switch value := value.(type) {
	case string:
		return value + "0"
	case rollup.Day:
		return value + 1
	case int64:
		if value >= 1000 {
			return value * 104 / 100
		}
		return value + 1
	case bool:
		return !value
	}
	n := value.(float64)
	return n + math.Abs(n)/4 + 0.1
}
