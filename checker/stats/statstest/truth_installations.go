package statstest

import (
	"strings"

	"relcheck/checker/stats/rollup"
)

// used has the usage of some builds.
type used struct{ instances, installations, reports int64 }

// usedBy adds up the usage of builds under their names.
func (t *Truth) usedBy(name func(build int) string) map[string]used {
	sums := map[string]used{}
	for build := range t.matched {
		if u := (used{t.instances[build], t.installations[build], t.reports[build]}); u != (used{}) {
			s := sums[name(build)]
			sums[name(build)] = used{s.instances + u.instances, s.installations + u.installations, s.reports + u.reports}
		}
	}
	return sums
}

// row returns a row with instances and installations and their shares of all, between other
// values.
func (t *Truth) row(keys []any, u used, rest ...any) []any {
	return append(t.part(keys, u, used{t.total, sum(t.installations), 0}), rest...)
}

// part returns a row with instances and installations and their shares of a whole, after
// other values.
func (t *Truth) part(keys []any, u, whole used) []any {
	row := append(keys, u.instances, share(u.instances, whole.instances), nil, nil)
	if t.remembers() {
		row[len(keys)+2] = float64(u.installations) / float64(t.meanDays().Days())
		row[len(keys)+3] = share(u.installations, whole.installations)
	}
	return row
}

// remembers reports whether there are installations in the range.
func (t *Truth) remembers() bool { return sum(t.installationsOn(t.query.Range)) > 0 }

// meanDays returns the days of the range that are over and can have installations, or else
// the first day that can.
func (t *Truth) meanDays() rollup.Range {
	known := t.log.remembered()
	if known.Days() == 0 {
		return known
	}
	days := rollup.Range{From: max(t.query.From, known.From), To: min(t.query.To, t.today-1)}
	if t.query.Contains(days.From) {
		days.To = max(days.From, days.To)
	}
	return days
}

func (t *Truth) installationDays(days rollup.Range) []installationDay {
	return inRange(t.log.installationDays, days, func(d installationDay) rollup.Day { return d.day })
}

// installationsOn adds up the installations of some days, by build.
func (t *Truth) installationsOn(days rollup.Range) []int64 {
	counts := make([]int64, len(t.matched))
	for _, in := range t.installationDays(days) {
		if t.matched[in.build] {
			counts[in.build]++
		}
	}
	return counts
}

// installationsIn counts the installations that reported in a period: all, and the ones that
// never had before.
func (t *Truth) installationsIn(days rollup.Range) (all, new int64) {
	for _, in := range t.installationDays(days) {
		if t.matched[in.build] && in.previous < days.From {
			all++
			if in.previous == 0 {
				new++
			}
		}
	}
	return all, new
}

func (t *Truth) installationSummary() (rows [][]any) {
	known := t.log.remembered()
	for _, p := range []struct {
		name string
		days rollup.Day
	}{{"day", 1}, {"week", 7}, {"four weeks", 28}} {
		to := min(t.query.To, t.today-1)
		for (to+1-4)%p.days != 0 {
			to--
		}
		days := rollup.Range{To: to}.Last(int(p.days))
		if p.days == 1 && to < known.From && t.query.To >= t.today && known.Days() > 0 {
			p.name, days = "today so far", rollup.Range{From: t.today, To: t.today}
		}
		row := []any{p.name, days.From, days.To, nil, nil, nil, nil, nil, nil}
		if len(t.log.installationDays) > 0 && days.To >= known.From && (p.days == 1 || t.query.Version == "") {
			all, new := t.installationsIn(days)
			row[3], row[4], row[5] = all, all-new, new
			previous := days.Previous()
			if p.days == 1 {
				previous = rollup.Range{From: days.From - 7, To: days.To - 7}
			}
			if before, _ := t.installationsIn(previous); previous.From >= known.From {
				row[6] = before
				if before > 0 {
					row[7] = float64(all-before) / float64(before)
				}
			}
		}
		last := dayOf(t.log.reports[len(t.log.reports)-1].at)
		open := p.days > 1 && !t.query.Contains(days.From) && days.Contains(last) && t.reportsOf(days) == 0
		if t.log.Known.From <= days.To && !open {
			row[8] = sum(t.distinct(days))
		}
		rows = append(rows, row)
	}
	return rows
}

// rememberedDays returns the days of the range that can have installations.
func (t *Truth) rememberedDays() rollup.Range {
	known := t.log.remembered()
	if known.Days() == 0 {
		return known
	}
	return rollup.Range{From: max(t.dailyRange.From, known.From), To: t.dailyRange.To}
}

func (t *Truth) installationsDaily() (rows [][]any) {
	days := t.rememberedDays()
	for d := days.From; d <= days.To; d++ {
		var returning, new, back7, back28 int64
		for _, in := range t.installationDays(rollup.Range{From: d, To: d}) {
			if !t.matched[in.build] {
				continue
			}
			if in.previous == 0 {
				new++
				continue
			}
			returning++
			if d-in.previous >= 7 {
				back7++
			}
			if d-in.previous >= 28 {
				back28++
			}
		}
		rows = append(rows, []any{d, returning, new, back7, back28})
	}
	return rows
}

func (t *Truth) installationsWeekly() [][]any  { return t.installationPeriods(7) }
func (t *Truth) installationsMonthly() [][]any { return t.installationPeriods(28) }

func (t *Truth) installationPeriods(n rollup.Day) (rows [][]any) {
	known := t.log.remembered()
	for from := t.query.From; from+n-1 <= t.query.To && t.query.Version == "" && known.Days() > 0; from++ {
		if (from-4)%n == 0 && from+n-1 >= known.From {
			days := rollup.Range{From: from, To: from + n - 1}
			all, new := t.installationsIn(days)
			rows = append(rows, []any{days.From, days.To, all - new, new})
		}
	}
	return rows
}

func (t *Truth) installationVersions() (rows [][]any) {
	days := t.rememberedDays()
	for d := days.From; d <= days.To; d++ {
		on := t.installationsOn(rollup.Range{From: d, To: d})
		counts := t.groupBy(on, t.versionName)
		for _, name := range newestFirst(&t.releases, counts) {
			rows = append(rows, []any{d, name, counts[name], share(counts[name], sum(on))})
		}
	}
	return rows
}

func (t *Truth) installationPlatforms() (rows [][]any) {
	days := t.rememberedDays()
	for d := days.From; d <= days.To; d++ {
		on := t.installationsOn(rollup.Range{From: d, To: d})
		for name, n := range t.groupBy(on, t.platformName) {
			os, arch, _ := strings.Cut(name, "/")
			rows = append(rows, []any{d, os, arch, n, share(n, sum(on))})
		}
	}
	return rows
}
