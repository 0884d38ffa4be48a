package command

import (
	"fmt"
	"math"
	"slices"

	"relcheck/checker"
	"relcheck/checker/stats"
)

// answer says in a sentence what a table answers, if the query asks for one row
// of it; else it is empty.
func answer(q stats.Query, t *stats.Table) string {
	switch {
	case t.Name == "deprecation" && q.Below != "":
		return find(t, func(row []any) bool { return checker.Compare(row[0].(string), q.Below) == 0 }, func(row []any) string {
			return fmt.Sprintf("If support ended below %s, %s ids (%s) would be affected.",
				printable(row[0].(string)), show(stats.Number, row[1]), show(stats.Share, row[2]))
		})
	case t.Name == "heap_above" && q.Above != 0:
		limit := float64(stats.NearestLimit(q.Above))
		return find(t, func(row []any) bool { return row[0] == limit }, func(row []any) string {
			return fmt.Sprintf("%s ids (%s) have taken more than %s.",
				show(stats.Number, row[1]), show(stats.Share, row[2]), show(stats.Bytes, row[0]))
		})
	case t.Name == "heap_change":
		return find(t, func(row []any) bool { return row[0] == "p95" }, changed)
	}
	return ""
}

func find(t *stats.Table, is func([]any) bool, say func([]any) string) string {
	if i := slices.IndexFunc(t.Rows, is); i >= 0 {
		return say(t.Rows[i])
	}
	return ""
}

// changed tells a row of the table heap_change.
func changed(row []any) string {
	change, ok := row[5].(float64)
	if !ok {
		return ""
	}
	more := "more"
	if change < 0 {
		more = "less"
	}
	says := fmt.Sprintf("%s takes %s %s at %s than %s", show(stats.Text, row[2]), stats.ShowShare(math.Abs(change)), more, row[0], show(stats.Text, row[1]))
	if row[8] != true {
		return says + ", but the ids are too few, or the two too much alike, to say so for certain."
	}
	return fmt.Sprintf("%s (between %s and %s, with 95 %% confidence).", says, show(stats.Change, row[6]), show(stats.Change, row[7]))
}
