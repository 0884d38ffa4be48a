package statstest

import (
	"relcheck/checker/stats/rollup"
)

func (t *Truth) summary() (rows [][]any) {
	for _, p := range []struct {
		name string
		days rollup.Range
	}{
		{"day", t.query.Last(1)}, {"7 days", t.query.Last(7)}, {"28 days", t.query.Last(28)}, {"range", t.query.Range},
	} {
		instances := sum(t.distinct(p.days))
		var before, change, reports, checks any
		previous := rollup.Range{From: p.days.From - (p.days.To - p.days.From + 1), To: p.days.From - 1}
		if previous.From >= t.log.Known.From {
			n := sum(t.distinct(previous))
			before = n
			if n > 0 && (p.days.From < p.days.To || p.days.To < t.today) { // an incomplete day is not compared with a whole one
				change = float64(instances-n) / float64(n)
			}
		}
		if p.days.From >= t.query.From {
			reports, checks = t.reportsOf(p.days), t.checksOf(p.days)
		}
		rows = append(rows, []any{p.name, p.days.From, p.days.To, instances, before, change, reports, checks})
	}
	return rows
}

func (t *Truth) reportsOf(days rollup.Range) (n int64) {
	for _, r := range t.reportsIn(days) {
		if t.matched[t.log.instances[r.instance].build] {
			n++
		}
	}
	return n
}

func (t *Truth) checksOf(days rollup.Range) (n int64) {
	for _, c := range t.log.checks {
		if days.Contains(c.Day) && t.matches(c.Build) {
			n += c.Count
		}
	}
	return n
}

func (t *Truth) checks() (rows [][]any) {
	counts := map[[3]string]int64{}
	for _, c := range t.log.checks {
		if t.query.Contains(c.Day) && t.matches(c.Build) {
			counts[[3]string{t.releases.version(c.Build.Version).name, c.Build.OS, c.Build.Arch}] += c.Count
		}
	}
	for build, n := range counts {
		rows = append(rows, []any{build[0], build[1], build[2], n, share(n, t.checksOf(t.query.Range))})
	}
	return rows
}

func (t *Truth) days() (rows [][]any) {
	reports, checks := map[rollup.Day]int64{}, map[rollup.Day]int64{}
	for _, r := range t.reportsIn(t.dailyRange) {
		if t.matched[t.log.instances[r.instance].build] {
			reports[dayOf(r.at)]++
		}
	}
	for _, c := range t.log.checks {
		if t.matches(c.Build) {
			checks[c.Day] += c.Count
		}
	}
	for d := t.dailyRange.From; d <= t.dailyRange.To; d++ {
		rows = append(rows, []any{d, sum(t.daily[d]), reports[d], checks[d]})
	}
	return rows
}

func (t *Truth) weekly() [][]any { return t.periods(7) }

func (t *Truth) monthly() [][]any { return t.periods(28) }

// periods returns the rows for the periods of n days in the range. Periods start on
// Mondays, counted from the first Monday of 1970.
func (t *Truth) periods(n rollup.Day) (rows [][]any) {
	for from := t.query.From; from+n-1 <= t.query.To; from++ {
		if (from-4)%n == 0 && from+n-1 >= t.log.Known.From {
			days := rollup.Range{From: from, To: from + n - 1}
			rows = append(rows, []any{days.From, days.To, sum(t.distinct(days)), t.reportsOf(days)})
		}
	}
	return rows
}

func (t *Truth) adoption() (rows [][]any) {
	for d := t.dailyRange.From; d <= t.dailyRange.To; d++ {
		instances := t.groupBy(t.daily[d], func(build int) string { return t.versions[build].name })
		for _, name := range newestFirst(&t.releases, instances) {
			rows = append(rows, []any{d, name, instances[name], share(instances[name], sum(t.daily[d]))})
		}
	}
	return rows
}

func (t *Truth) lifetimes() (rows [][]any) {
	started, again := map[rollup.Day]int64{}, map[rollup.Day]int64{}
	for _, s := range t.log.starts {
		if t.matched[t.log.instances[s.instance].build] {
			started[s.day]++
			if s.again {
				again[s.day]++
			}
		}
	}
	for d := t.dailyRange.From; d <= t.dailyRange.To; d++ {
		rows = append(rows, []any{d, started[d], again[d], share(again[d], started[d])})
	}
	return rows
}

// maybeRestartsOn counts the restarts on a day that a store may count or not.
func (t *Truth) maybeRestartsOn(d rollup.Day) (n int64) {
	for _, s := range t.log.maybeRestarts {
		if s.day == d && t.matched[t.log.instances[s.instance].build] {
			n++
		}
	}
	return n
}
