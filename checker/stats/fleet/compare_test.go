package fleet_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
)

// What is shown may be wrong in many ways, and none may be missed.
func TestCompareFindsErrors(t *testing.T) {
	f := fleet.Fleet{Seed: 21, Days: 190, Instances: 100, Every: 12 * time.Hour}
	log, q := f.Log(), stats.Query{Range: f.Range().Last(90), Above: 1 << 40}
	folded, truth := log.Fold(), log.NewTruth(q, q.To+1)
	figures := func() *stats.Figures { // the build that is used most is the first
		f := folded.Figures(q.Range, q.Keeps)
		slices.SortStableFunc(f.Builds, func(a, b stats.BuildFigures) int { return int(b.Reports - a.Reports) })
		return f
	}
	view := func(f *stats.Figures, q stats.Query) []*stats.Table {
		return stats.NewView(log.Listing, q, f, q.To+1).Tables()
	}
	if all := fleet.Compare(view(figures(), q), truth); len(all) > 0 {
		t.Fatalf("what is right is said to differ: %q", all)
	}
	for name, spoil := range map[string]func(*stats.Figures){
		"a build is missing":    func(f *stats.Figures) { f.Builds = f.Builds[1:] },
		"a build counts twice":  func(f *stats.Figures) { f.Builds = append(f.Builds, f.Builds[0]) },
		"a day is missing":      func(f *stats.Figures) { f.Builds[0].Days = f.Builds[0].Days[1:] },
		"a week is missing":     func(f *stats.Figures) { f.Builds[0].Weeks = nil },
		"a month is missing":    func(f *stats.Figures) { f.Builds[0].Months = nil },
		"an id too many":        func(f *stats.Figures) { f.Builds[0].Days[3].IDs++ },
		"a report too many":     func(f *stats.Figures) { f.Builds[0].Days[3].Reports++ },
		"a check too many":      func(f *stats.Figures) { f.Builds[0].Days[3].Checks++ },
		"a start too many":      func(f *stats.Figures) { f.Builds[0].Days[3].Started++ },
		"one seen again":        func(f *stats.Figures) { f.Builds[0].Days[3].Again++ },
		"another week":          func(f *stats.Figures) { f.Builds[0].Recent.Week += 50 },
		"another range before":  func(f *stats.Figures) { f.Builds[0].Recent.RangeBefore += 5000 },
		"another version":       func(f *stats.Figures) { f.Builds[0].Version = "v0.1.0" },
		"another platform":      func(f *stats.Figures) { f.Builds[0].OS = "plan9" },
		"known for less":        func(f *stats.Figures) { f.Known.From += 50 },
		"heaps are lost":        func(f *stats.Figures) { f.Builds[0].Heaps = stats.Heaps{} },
		"one heap too many":     func(f *stats.Figures) { f.Builds[0].Heaps.Add(900, 1) },
		"heaps in other places": func(f *stats.Figures) { shift(&f.Builds[0].Heaps, 2) },
	} {
		spoiled := figures()
		spoil(spoiled)
		if len(fleet.Compare(view(spoiled, q), truth)) == 0 {
			t.Errorf("%s, and nothing is found", name)
		}
	}
	other := q
	other.OS = "linux"
	if len(fleet.Compare(view(folded.Figures(q.Range, other.Keeps), other), truth)) == 0 {
		t.Error("another filter, and nothing is found")
	}
	eachValue(t, func() []*stats.Table { return view(figures(), q) }, truth)
}

// shift puts all heaps some buckets higher.
func shift(h *stats.Heaps, buckets int) {
	var moved stats.Heaps
	for bucket, n := range h.All() {
		moved.Add(bucket+buckets, n)
	}
	*h = moved
}

// eachValue changes a value of every column of every table, takes rows away and
// turns them round, and looks whether that is found.
func eachValue(t *testing.T, tables func() []*stats.Table, truth *fleet.Truth) {
	all := tables()
	found := func(table, what string) {
		if d := fleet.Compare(all, truth); !slices.ContainsFunc(d, func(s string) bool { return strings.HasPrefix(s, table+":") }) {
			t.Errorf("%s: %s, and found is %q", table, what, d)
		}
	}
	for i, table := range all {
		if len(table.Rows) < 2 {
			t.Errorf("%s has %d rows", table.Name, len(table.Rows))
		}
		rows := table.Rows
		for column := range table.Columns {
			row := slices.IndexFunc(rows, func(row []any) bool { return row[column] != nil })
			if row < 0 {
				t.Errorf("%s has no %s", table.Name, table.Columns[column].Name)
				continue
			}
			if was := rows[row][column]; table.Columns[column].Name != "certain" || was == true {
				changes := []any{wrong(was), nil, 'x'}
				if hurried() {
					changes = changes[:1]
				}
				for _, changed := range changes {
					rows[row][column] = changed
					found(table.Name, fmt.Sprintf("%s is %v instead of %v", table.Columns[column].Name, changed, was))
				}
				rows[row][column] = was
			}
		}
		table.Rows = rows[1:]
		found(table.Name, "a row is missing")
		table.Rows = append(slices.Clone(rows), rows[0])
		found(table.Name, "a row is there twice")
		all[i] = &stats.Table{Name: "another"}
		found(table.Name, "all is missing")
		all[i] = table
		table.Rows = rows
		if !slices.Contains([]string{"platforms", "os", "arch", "platform_versions", "heap"}, table.Name) {
			slices.Reverse(rows)
			found(table.Name, "rows are in reverse")
			slices.Reverse(rows)
		}
	}
}

// wrong returns another value of the same type.
func wrong(value any) any {
	switch value := value.(type) {
	case string:
		return value + "0"
	case stats.Day:
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
