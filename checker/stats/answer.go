package stats

import (
	"fmt"
	"math"
	"slices"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// Answer is a sentence that answers what a query asks beside its range and filter.
type Answer struct {
	Text  string // empty when nothing was asked, or nothing is known of it
	Doubt bool   // it cannot be said for certain
}

// Answer says what a table of the query's view answers: deprecation to Below,
// heap_above to Above, and heap_change to Compare. Values are written by show, such
// as [Show].
func (q Query) Answer(t *Table, show func(Kind, any) string) Answer {
	switch {
	case t.Name == "deprecation" && q.Below != "":
		return t.answer(show, "below", func(below any) bool { return checker.Compare(below.(string), q.Below) == 0 }, said.affected)
	case t.Name == "heap_above" && q.Above != 0:
		limit := float64(rollup.NearestLimit(q.Above))
		a := t.answer(show, "bytes", func(bytes any) bool { return bytes == limit }, said.exceeded)
		if a.Text != "" && limit != float64(q.Above) {
			a.Text += " That is the nearest heap for which instances are counted."
		}
		return a
	case t.Name == "heap_change":
		return t.answer(show, "percentile", func(name any) bool { return name == "p95" }, said.changed)
	}
	return Answer{}
}

// answer says something about the row whose value in a column is the right one.
func (t *Table) answer(show func(Kind, any) string, column string, is func(any) bool, say func(said) Answer) Answer {
	for _, row := range t.Rows {
		if s := (said{t.Columns, row, show}); is(s.value(column)) {
			return say(s)
		}
	}
	return Answer{}
}

// said is a row that something is said about.
type said struct {
	columns []Column
	row     []any
	show    func(Kind, any) string
}

func (s said) at(column string) int {
	return slices.IndexFunc(s.columns, func(c Column) bool { return c.Name == column })
}

func (s said) value(column string) any { return s.row[s.at(column)] }

// text writes a value of the row.
func (s said) text(column string) string {
	i := s.at(column)
	return s.show(s.columns[i].Kind, s.row[i])
}

// instances writes how many the row counts: 1,234 instances (12.3 %).
func (s said) instances() string {
	unit := "instances"
	if s.value("instances") == int64(1) {
		unit = "instance"
	}
	return fmt.Sprintf("%s %s (%s)", s.text("instances"), unit, s.text("share"))
}

func (s said) affected() Answer {
	return Answer{Text: fmt.Sprintf("If support ended below %s, %s would be affected.", s.text("below"), s.instances())}
}

func (s said) exceeded() Answer {
	return Answer{Text: fmt.Sprintf("%s exceeded %s.", s.instances(), s.text("bytes"))}
}

func (s said) changed() Answer {
	change, known := s.value("change").(float64)
	if !known {
		return Answer{fmt.Sprintf("Too few instances to compare %s with %s at %s.", s.text("new"), s.text("old"), s.text("percentile")), true}
	}
	more := "more"
	if change < 0 {
		more = "less"
	}
	return Answer{Text: fmt.Sprintf("%s uses %s %s heap than %s at %s.", s.text("new"), s.show(Share, math.Abs(change)), more, s.text("old"), s.text("percentile"))}
}
