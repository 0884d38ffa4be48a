package fleet

import (
	"relcheck/checker/stats"
)

func (t *Truth) summary() (rows [][]any) {
	for _, p := range []struct {
		name string
		days stats.Range
	}{
		{"day", t.query.Last(1)}, {"7 days", t.query.Last(7)}, {"28 days", t.query.Last(28)}, {"range", t.query.Range},
	} {
		ids := sum(t.distinct(p.days))
		var before, change, reports, checks any
		earlier := stats.Range{From: p.days.From - (p.days.To - p.days.From + 1), To: p.days.From - 1}
		if earlier.From >= t.log.Known.From {
			n := sum(t.distinct(earlier))
			before = n
			if n > 0 && (p.days.From < p.days.To || p.days.To < t.today) { // a part of a day is not compared to a day
				change = float64(ids-n) / float64(n)
			}
		}
		if p.name == "day" || p.name == "range" {
			reports, checks = t.reportsOf(p.days), t.checksOf(p.days)
		}
		rows = append(rows, []any{p.name, p.days.From, p.days.To, ids, before, change, reports, checks})
	}
	return rows
}

func (t *Truth) reportsOf(days stats.Range) (n int64) {
	for _, h := range t.heard(days) {
		if t.kept[t.log.ids[h.id].build] {
			n++
		}
	}
	return n
}

func (t *Truth) checksOf(days stats.Range) (n int64) {
	for _, c := range t.log.checks {
		if days.Has(c.Day) && keeps(t.query.Filter, c.Build) {
			n += c.Count
		}
	}
	return n
}

func (t *Truth) days() (rows [][]any) {
	reports, checks := map[stats.Day]int64{}, map[stats.Day]int64{}
	for _, h := range t.heard(t.shown) {
		if t.kept[t.log.ids[h.id].build] {
			reports[stats.Day(h.at/day)]++
		}
	}
	for _, c := range t.log.checks {
		if keeps(t.query.Filter, c.Build) {
			checks[c.Day] += c.Count
		}
	}
	for d := t.shown.From; d <= t.shown.To; d++ {
		rows = append(rows, []any{d, sum(t.daily[d]), reports[d], checks[d]})
	}
	return rows
}

func (t *Truth) weekly() [][]any { return t.periods(7) }

func (t *Truth) monthly() [][]any { return t.periods(28) }

// periods are those of n days that lie in the range. They begin on Mondays, and
// were counted from the first Monday of 1970 on.
func (t *Truth) periods(n stats.Day) (rows [][]any) {
	for from := t.query.From; from+n-1 <= t.query.To; from++ {
		if (from-4)%n == 0 && from+n-1 >= t.log.Known.From {
			days := stats.Range{From: from, To: from + n - 1}
			rows = append(rows, []any{days.From, days.To, sum(t.distinct(days)), t.reportsOf(days)})
		}
	}
	return rows
}

func (t *Truth) adoption() (rows [][]any) {
	for d := t.shown.From; d <= t.shown.To; d++ {
		ids := t.by(t.daily[d], func(build int) string { return t.versions[build].name })
		for _, name := range newestFirst(ids) {
			rows = append(rows, []any{d, name, ids[name], share(ids[name], sum(t.daily[d]))})
		}
	}
	return rows
}

func (t *Truth) lifetimes() (rows [][]any) {
	started, again := map[stats.Day]int64{}, map[stats.Day]int64{}
	for _, s := range t.log.starts {
		if t.kept[t.log.ids[s.id].build] {
			started[s.day]++
			if s.again {
				again[s.day]++
			}
		}
	}
	for d := t.shown.From; d <= t.shown.To; d++ {
		rows = append(rows, []any{d, started[d], again[d], share(again[d], started[d])})
	}
	return rows
}

// early counts the ids that may seem to have started on a day.
func (t *Truth) early(d stats.Day) (n int64) {
	for _, s := range t.log.early {
		if s.day == d && t.kept[t.log.ids[s.id].build] {
			n++
		}
	}
	return n
}
