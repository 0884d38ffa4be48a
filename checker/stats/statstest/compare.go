package statstest

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// The errors that a table may have.
const (
	// estimatedFrom is the smallest count that is an estimate.
	estimatedFrom = 1000
	// countError is the relative error of an estimated count.
	countError = 0.02
	// shareError is the absolute error of a share of an estimated count.
	shareError = 0.005
	// hashError is the relative error of a number of instance-days that is not sampled.
	hashError = 1e-4
	// heapError is the relative error of a heap size, including rounding errors.
	heapError = rollup.HeapError * 1.000001
)

// tableKeys describes the rows of each table that has the same rows in the truth.
var tableKeys = map[string]struct {
	keys    int  // number of leading columns that identify a row
	ordered bool // the order of the rows is compared too
}{
	"summary": {3, true}, "daily": {1, true}, "weekly": {2, true}, "monthly": {2, true}, "adoption": {2, true},
	"releases": {1, true}, "lines": {1, true}, "latest": {2, true}, "versions": {1, true}, "deprecation": {1, true},
	"behind": {1, true}, "behind_days": {2, true}, "platforms": {2, false}, "os": {1, false}, "arch": {1, false},
	"platform_versions": {3, false}, "checks": {3, false}, "heap": {3, false}, "heap_above": {1, true}, "heap_change": {3, true},
	"lifetimes": {1, true}, "installations": {3, true}, "installations_daily": {1, true}, "installations_weekly": {2, true},
	"installations_monthly": {2, true}, "installation_versions": {2, true}, "installation_platforms": {3, false},
}

// DerivedTables follow from the counts of other tables, and have tests of their own in
// package stats. Compare only requires that they exist.
var DerivedTables = []string{"adoption_curves", "adoption_speed", "droppable"}

// Tables returns the names of the tables that Compare requires.
func Tables() (names []string) {
	for name := range tableKeys {
		names = append(names, name)
	}
	return append(append(names, "heap_histogram"), DerivedTables...)
}

// Compare returns a description of each difference between the tables and the truth that
// is larger than allowed. Allowed are errors of 2 % for counts of at least 1,000
// instances, of half a percentage point for shares of such counts, and of 1 % for heap
// sizes. All other values must be exact.
//
// Compare can report a false difference: a count below 1,000 takes two instances of a
// build for one if the upper halves of their hashes are equal. A fleet of a million
// instances has such a pair for most hash keys, but the pair changes a small count for
// only about one key in a hundred.
func Compare(tables []*stats.Table, truth *Truth) (differences []string) {
	seen := map[string]bool{}
	for _, table := range tables {
		c := comparison{table: table, truth: truth}
		seen[table.Name] = true
		switch _, known := tableKeys[table.Name]; {
		case table.Name == "heap_histogram":
			c.compareHistogram()
		case known:
			c.compareRows()
		case slices.Contains(DerivedTables, table.Name):
		default:
			c.addf("got this table, want no table of this name")
		}
		differences = append(differences, c.differences...)
	}
	for _, name := range Tables() {
		if !seen[name] {
			differences = append(differences, name+": got no table, want one")
		}
	}
	slices.Sort(differences)
	return differences
}

// comparison compares one table with the truth.
type comparison struct {
	table       *stats.Table
	truth       *Truth
	differences []string
}

// addf adds a difference.
func (c *comparison) addf(format string, args ...any) {
	c.differences = append(c.differences, c.table.Name+": "+fmt.Sprintf(format, args...))
}

// compareRows compares the rows of a table in tableKeys.
func (c *comparison) compareRows() {
	spec, want, got := tableKeys[c.table.Name], c.truth.Table(c.table.Name), c.table.Rows
	byKey := map[string][]any{}
	var gotOrder, wantOrder []string
	for _, row := range got {
		if len(row) != len(c.table.Columns) {
			c.addf("got a row of %d values, want %d: %v", len(row), len(c.table.Columns), row)
			return
		}
		key := fmt.Sprint(row[:spec.keys]...)
		if byKey[key] != nil {
			c.addf("got two rows for %s, want one", key)
		}
		byKey[key] = row
		gotOrder = append(gotOrder, key)
	}
	for _, row := range want {
		key := fmt.Sprint(row[:spec.keys]...)
		wantOrder = append(wantOrder, key)
		if byKey[key] == nil {
			if c.maybeExtreme(row) {
				continue
			}
			c.addf("got no row for %s, want %v", key, row)
			continue
		}
		c.compareRow(byKey[key], row)
		delete(byKey, key)
	}
	for _, row := range byKey {
		if c.maybeExtreme(row) {
			continue
		}
		c.addf("got row %v, want none", row)
	}
	if spec.ordered && len(c.differences) == 0 && len(gotOrder) == len(wantOrder) && !slices.Equal(gotOrder, wantOrder) {
		c.addf("got rows in the order %q, want %q", gotOrder, wantOrder)
	}
}

// compareRow compares the values of a row.
func (c *comparison) compareRow(got, want []any) {
	if len(got) != len(want) {
		c.addf("got a row of %d values, want %d: %v", len(got), len(want), want)
		return
	}
	for i, column := range c.table.Columns {
		if c.exempt(column.Name, i, got, want) {
			continue
		}
		if !c.withinTolerance(column, i, got, want) {
			c.addf("%v: got %s %s, want %s", want, column.Name, display(got[i]), display(want[i]))
		}
	}
}

// withinTolerance reports whether the i-th value of a row is close enough to the truth.
func (c *comparison) withinTolerance(column stats.Column, i int, got, want []any) bool {
	if got[i] == nil || want[i] == nil || !hasKind(got[i], column.Kind) {
		return got[i] == nil && want[i] == nil
	}
	exact := strings.HasPrefix(c.table.Name, "installation") || column.Name == "installation_share"
	switch column.Kind {
	case stats.Number:
		if column.Name == "instance_days" && c.truth.sampled {
			return within(got[i], want[i], sampleError*toFloat(want[i]))
		}
		switch column.Name {
		case "instance_days": // hashes of two instances may be equal
			return within(got[i], want[i], hashError*toFloat(want[i]))
		case "instances", "old_instances", "new_instances", "before":
			return within(got[i], want[i], countTolerance(want[i].(int64)))
		}
	case stats.Mean:
		return within(got[i], want[i], 1e-9)
	case stats.Share:
		if exact {
			return within(got[i], want[i], 1e-9)
		}
		return within(got[i], want[i], shareTolerance(want[i-1], want[i]))
	case stats.Change:
		if exact {
			return within(got[i], want[i], 1e-9)
		}
		if c.table.Name == "summary" { // computed from two columns that are compared themselves
			return within(got[i], toFloat(got[i-2])/toFloat(got[i-1])-1, 1e-9)
		}
		if c.truth.sampled { // computed from two heap sizes that are compared themselves
			return within(got[i], toFloat(got[i-1])/toFloat(got[i-2])-1, 1e-9)
		}
		return within(got[i], want[i], 2*heapError/(1-heapError)*(1+want[i].(float64)))
	case stats.Bytes:
		return within(got[i], want[i], heapError*want[i].(float64)) || c.truth.sampled && c.nearPercentile(i, got[i], want)
	}
	return got[i] == want[i]
}

// shareTolerance returns the allowed error of a share that consists of some instances.
func shareTolerance(instances, share any) float64 {
	if all := toFloat(instances) / toFloat(share); toFloat(instances) == 0 || all < estimatedFrom {
		return 1e-9
	}
	return shareError
}

// countTolerance returns the allowed error of a number of instances.
func countTolerance(n int64) float64 {
	if n < estimatedFrom {
		return 0
	}
	return countError * float64(n)
}

// hasKind reports whether the type of a value is that of its column.
func hasKind(value any, kind stats.Kind) (ok bool) {
	switch kind {
	case stats.Text:
		_, ok = value.(string)
	case stats.Date:
		_, ok = value.(rollup.Day)
	case stats.Number:
		_, ok = value.(int64)
	case stats.Yes:
		_, ok = value.(bool)
	default:
		_, ok = value.(float64)
	}
	return ok
}

// within reports whether two numbers differ by no more than allowed.
func within(got, want any, allowed float64) bool {
	return math.Abs(toFloat(got)-toFloat(want)) <= allowed
}

// toFloat converts a value of a row; it returns NaN if the value is not a number.
func toFloat(value any) float64 {
	switch n := value.(type) {
	case int64:
		return float64(n)
	case float64:
		return n
	}
	return math.NaN()
}

func display(value any) string {
	if value == nil {
		return "nothing"
	}
	return fmt.Sprint(value)
}
