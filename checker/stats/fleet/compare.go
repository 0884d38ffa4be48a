package fleet

import (
	"fmt"
	"math"
	"slices"

	"relcheck/checker/stats"
)

// How far what is shown may be from the truth.
const (
	// few is the number of ids from which on they are estimated.
	few = 1000
	// idsMargin is relative, for ids from few on.
	idsMargin = 0.02
	// shareMargin is in shares of 1.
	shareMargin = 0.005
	// heapMargin is relative, with what the rounding of numbers adds.
	heapMargin = stats.HeapError * 1.000001
)

// keyed are the tables, with the number of columns that tell their rows apart.
// Those whose rows have an order that the truth knows too are ordered.
var keyed = map[string]struct {
	keys    int
	ordered bool
}{
	"summary": {3, true}, "daily": {1, true}, "weekly": {2, true}, "monthly": {2, true}, "adoption": {2, true},
	"releases": {1, true}, "lines": {1, true}, "latest": {2, true}, "versions": {1, true}, "deprecation": {1, true},
	"behind": {1, true}, "behind_days": {2, true}, "platforms": {2, false}, "os": {1, false}, "arch": {1, false},
	"platform_versions": {3, false}, "heap": {3, false}, "heap_above": {1, true}, "heap_change": {3, true},
	"lifetimes": {1, true},
}

// Tables are what Compare knows of, by name.
func Tables() (names []string) {
	for name := range keyed {
		names = append(names, name)
	}
	return append(names, "heap_histogram")
}

// Compare returns where tables differ from the truth by more than they may: a
// sentence for each difference, and none when all is well. Distinct counts may be
// 2 % off from 1,000 on, heaps 1 %, shares of as many half a point, and nothing
// else at all. Two ids of a build whose hashes have the same upper halves would
// count as one: a fleet of a million ids has such a pair in most keys, which makes
// a count of less than 1,000 wrong in about one key of a hundred.
func Compare(tables []*stats.Table, truth *Truth) (differences []string) {
	seen := map[string]bool{}
	for _, table := range tables {
		c := comparison{table: table, truth: truth}
		seen[table.Name] = true
		switch _, known := keyed[table.Name]; {
		case table.Name == "heap_histogram":
			c.histogram()
		case known:
			c.rows()
		default:
			c.report("is not known")
		}
		differences = append(differences, c.differences...)
	}
	for _, name := range Tables() {
		if !seen[name] {
			differences = append(differences, name+": is missing")
		}
	}
	slices.Sort(differences)
	return differences
}

// comparison is that of one table.
type comparison struct {
	table       *stats.Table
	truth       *Truth
	differences []string
}

func (c *comparison) report(format string, args ...any) {
	c.differences = append(c.differences, c.table.Name+": "+fmt.Sprintf(format, args...))
}

// rows compares those of a table that the truth has as well.
func (c *comparison) rows() {
	how, want, got := keyed[c.table.Name], c.truth.Table(c.table.Name), c.table.Rows
	byKey := map[string][]any{}
	var order, wanted []string
	for _, row := range got {
		if len(row) != len(c.table.Columns) {
			c.report("a row has %d values, and there are %d columns: %v", len(row), len(c.table.Columns), row)
			return
		}
		key := fmt.Sprint(row[:how.keys]...)
		if byKey[key] != nil {
			c.report("%s is there twice", key)
		}
		byKey[key] = row
		order = append(order, key)
	}
	for _, row := range want {
		key := fmt.Sprint(row[:how.keys]...)
		wanted = append(wanted, key)
		if byKey[key] == nil {
			c.report("%s is missing, want %v", key, row)
			continue
		}
		c.row(byKey[key], row)
		delete(byKey, key)
	}
	for _, row := range byKey {
		c.report("there is %v, which should not be", row)
	}
	if how.ordered && len(c.differences) == 0 && !slices.Equal(order, wanted) {
		c.report("rows are %q, want %q", order, wanted)
	}
}

// row compares one row's values.
func (c *comparison) row(got, want []any) {
	if len(got) != len(want) {
		c.report("a row has %d values, want %d: %v", len(got), len(want), want)
		return
	}
	for i, column := range c.table.Columns {
		if c.excused(column.Name, i, got, want) {
			continue
		}
		if !c.close(column, i, got, want) {
			c.report("%v: %s is %s, want %s", want, column.Name, text(got[i]), text(want[i]))
		}
	}
	if c.table.Name == "heap_change" {
		c.interval(got)
	}
}

// close tells whether the i-th value of a row is as close to the truth as it must be.
func (c *comparison) close(column stats.Column, i int, got, want []any) bool {
	if got[i] == nil || want[i] == nil || !fits(got[i], column.Kind) {
		return got[i] == nil && want[i] == nil
	}
	switch column.Kind {
	case stats.Number:
		if column.Name == "instance_days" && c.truth.sampled {
			return near(got[i], want[i], sampledMargin*number(want[i]))
		}
		if column.Name == "ids" || column.Name == "before" {
			return near(got[i], want[i], idsAllowed(want[i].(int64)))
		}
	case stats.Share:
		return near(got[i], want[i], shareAllowed(want[i-1], want[i]))
	case stats.Change:
		if c.table.Name == "summary" { // of ids and before, which are compared themselves
			return near(got[i], number(got[i-2])/number(got[i-1])-1, 1e-9)
		}
		if c.truth.sampled { // of two heaps, which are compared themselves
			return near(got[i], number(got[i-1])/number(got[i-2])-1, 1e-9)
		}
		return near(got[i], want[i], 2*heapMargin/(1-heapMargin)*(1+want[i].(float64)))
	case stats.Bytes:
		return near(got[i], want[i], heapMargin*want[i].(float64)) || c.truth.sampled && c.isNearPercentile(i, got[i], want)
	}
	return got[i] == want[i]
}

// shareAllowed is by how much a share may be off that a number of ids has.
func shareAllowed(ids, share any) float64 {
	if all := number(ids) / number(share); number(ids) == 0 || all < few {
		return 1e-9
	}
	return shareMargin
}

// idsAllowed is by how much a number of ids may be off.
func idsAllowed(n int64) float64 {
	if n < few {
		return 0
	}
	return idsMargin * float64(n)
}

// fits tells whether a value has the type of its column.
func fits(value any, kind stats.Kind) (ok bool) {
	switch kind {
	case stats.Text:
		_, ok = value.(string)
	case stats.Date:
		_, ok = value.(stats.Day)
	case stats.Number:
		_, ok = value.(int64)
	case stats.Yes:
		_, ok = value.(bool)
	default:
		_, ok = value.(float64)
	}
	return ok
}

func near(got, want any, allowed float64) bool {
	return math.Abs(number(got)-number(want)) <= allowed
}

func number(value any) float64 {
	switch n := value.(type) {
	case int64:
		return float64(n)
	case float64:
		return n
	}
	return math.NaN()
}

func text(value any) string {
	if value == nil {
		return "nothing"
	}
	return fmt.Sprint(value)
}
