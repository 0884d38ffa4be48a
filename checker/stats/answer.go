package stats

import (
	"fmt"
	"math"
	"strings"

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
			return Answer{Text: fmt.Sprintf("If support ended below %s, %s would be affected.", text(ColBelow), countAndShare(t, r, show))}
		case t.Name == "heap_above" && q.Above != 0 && r.Float(ColBytes) == limit:
			a := Answer{Text: fmt.Sprintf("%s exceeded %s.", countAndShare(t, r, show), text(ColBytes))}
			if t.installations {
				a.Text = fmt.Sprintf("The heap exceeded %s on %s of the days of installations and instances that reported one.", text(ColBytes), text(ColDayShare))
			}
			if limit != float64(q.Above) {
				a.Text += " That is the nearest heap that has a count."
			}
			return a
		}
	}
	if t.Name == "heap_change" {
		return describeChange(t, show)
	}
	return Answer{}
}

// countAndShare formats the counts of a row, see [CountAndShare].
func countAndShare(t *Table, r Row, show func(Kind, any) string) string {
	if t.Has(ColInstallationShare) && r.Known(ColInstallationShare) {
		return CountAndShare(r.Count(ColMeanInstallations), r.Float(ColInstallationShare), true, show)
	}
	return CountAndShare(r.Count(ColInstances), r.Float(ColShare), false, show)
}

// CountAndShare formats a number of instances, or of installations on a mean day, with its share
// of all: 1,234 instances (12.3 %). The function show formats values.
func CountAndShare(n, share float64, installations bool, show func(Kind, any) string) string {
	text := show(Number, int64(n)) + " instances"
	switch {
	case installations:
		text = show(Mean, n) + " installations a day"
	case n == 1:
		text = strings.TrimSuffix(text, "s")
	}
	return text + " (" + show(Share, share) + ")"
}

// describeChange describes the highest percentile, p95 at most, whose change is certain.
func describeChange(t *Table, show func(Kind, any) string) (a Answer) {
	few := "instances"
	if t.installations {
		few = "installations and instances"
	}
	for r := range t.All() {
		text := func(c Column) string { return show(c.Kind, r.Value(c)) }
		p, old, new := text(ColPercentile), text(ColOld), text(ColNew)
		between := fmt.Sprintf("between %s and %s with 95 %% confidence", text(ColLow), text(ColHigh))
		certain := a.Text != "" && !a.Doubt // at a lower percentile
		switch {
		case p == "p99":
		case r.Yes(ColCertain):
			more := "more"
			if r.Float(ColChange) < 0 {
				more = "less"
			}
			a = Answer{Text: fmt.Sprintf("%s uses %s %s heap than %s at %s (%s).", new, show(Share, math.Abs(r.Float(ColChange))), more, old, p, between)}
		case certain && r.Known(ColChange):
			a.Text += fmt.Sprintf(" At %s it is not certain (%s).", p, between)
		case certain:
			a.Text += fmt.Sprintf(" There are too few %s to compare %s.", few, p)
		case r.Known(ColChange):
			a = Answer{fmt.Sprintf("It is not certain that the heap changed from %s to %s (at %s, %s).", old, new, p, between), true}
		case a.Text == "" || p == "p95" && !strings.HasPrefix(a.Text, "It is"):
			a = Answer{fmt.Sprintf("Too few %s to compare %s with %s at %s.", few, new, old, p), true}
		}
	}
	return a
}
