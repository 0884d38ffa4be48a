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
	// tiny is the number of ids up to which hardly any count is too low.
	tiny = 100
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
// 2 % off from 1,000 on; below that, they may be one too low, since two ids whose
// hashes are alike in 25 bits count as one, but below 100 only in few rows. Heaps
// may be 1 % off, shares half a point, and nothing else at all.
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
	small, low  int // rows with few ids, and how many of them have one too few
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
	if c.low > max(2, c.small/20) {
		c.report("%d of %d small counts are one too low", c.low, c.small)
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
		if column.Name == "ids" || column.Name == "before" {
			return c.closeIDs(got[i].(int64), want[i].(int64))
		}
	case stats.Share:
		return near(got[i], want[i], shareAllowed(got[i-1], want[i-1], want[i]))
	case stats.Change:
		if c.table.Name == "summary" { // of ids and before, which are compared themselves
			return near(got[i], number(got[i-2])/number(got[i-1])-1, 1e-9)
		}
		return near(got[i], want[i], 2*heapMargin/(1-heapMargin)*(1+want[i].(float64)))
	case stats.Bytes:
		return near(got[i], want[i], heapMargin*want[i].(float64))
	}
	return got[i] == want[i]
}

// shareAllowed is by how much a share may be off that a number of ids has: half a
// point, or what an id or two make where they are few.
func shareAllowed(got, want, share any) float64 {
	all := number(want) / number(share)
	switch {
	case number(want) == 0:
		return 0
	case all < tiny && got == want:
		return 1e-9
	case all < few:
		return min(shareMargin, 2/all)
	}
	return shareMargin
}

// closeIDs is close for distinct counts.
func (c *comparison) closeIDs(got, want int64) bool {
	if want >= few {
		return near(got, want, idsMargin*float64(want))
	}
	if want < tiny && want > 0 {
		c.small++
		if got == want-1 {
			c.low++
		}
	}
	return got == want || got == want-1 && want > 1
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
