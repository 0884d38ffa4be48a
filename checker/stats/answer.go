package stats

import (
	"fmt"
	"math"

	"relcheck/checker/stats/rollup"
)

// Answer is a sentence that answers the special question of a query: Below, Above or
// Compare.
type Answer struct {
	Text  string // empty if there is no question, or no answer
	Doubt bool   // there are too few instances for a certain answer
}

// Answer returns the answer that a table of the query's view gives: deprecation for Below,
// heap_above for Above, and heap_change for Compare. The function show formats values; an
// example is [Show].
func (q Query) Answer(t *Table, show func(Kind, any) string) Answer {
	limit := float64(rollup.NearestLimit(q.Above))
	for r := range t.All() {
		text := func(c Column) string { return show(c.Kind, r.Value(c)) }
		switch {
		case t.Name == "deprecation" && q.Below != "" && t.scheme.Trim(r.Text(ColBelow)) == t.scheme.Trim(q.Below):
			return Answer{Text: fmt.Sprintf("If support ended below %s, %s would be affected.", text(ColBelow), countAndShare(r, text))}
		case t.Name == "heap_above" && q.Above != 0 && r.Float(ColBytes) == limit:
			a := Answer{Text: fmt.Sprintf("%s exceeded %s.", countAndShare(r, text), text(ColBytes))}
			if limit != float64(q.Above) {
				a.Text += " That is the nearest heap that has a count."
			}
			return a
		case t.Name == "heap_change" && r.Text(ColPercentile) == "p95":
			return describeChange(r, text, show)
		}
	}
	return Answer{}
}

// countAndShare formats how many instances a row counts: 1,234 instances (12.3 %).
func countAndShare(r Row, text func(Column) string) string {
	unit := "instances"
	if r.Number(ColInstances) == 1 {
		unit = "instance"
	}
	return fmt.Sprintf("%s %s (%s)", text(ColInstances), unit, text(ColShare))
}

func describeChange(r Row, text func(Column) string, show func(Kind, any) string) Answer {
	if !r.Known(ColChange) {
		return Answer{fmt.Sprintf("Too few instances to compare %s with %s at %s.", text(ColNew), text(ColOld), text(ColPercentile)), true}
	}
	change, more := r.Float(ColChange), "more"
	if change < 0 {
		more = "less"
	}
	return Answer{Text: fmt.Sprintf("%s uses %s %s heap than %s at %s.", text(ColNew), show(Share, math.Abs(change)), more, text(ColOld), text(ColPercentile))}
}
