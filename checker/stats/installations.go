package stats

import (
	"cmp"
	"slices"

	"relcheck/checker/stats/rollup"
)

// Values of the column period of the table installations.
const (
	FinishedDay       = "day"
	FinishedWeek      = "week"
	FinishedFourWeeks = "four weeks"
	TodaySoFar        = "today so far" // instead of a day, before the first one is over
)

// Remembers reports whether the view counts installations: some of the builds of the query
// remember the day of their last answer. Other builds count as instances only.
func (v *View) Remembers() bool { return v.remembers }

// addInstallations adds up the installations of all builds by day, and those of each version
// and platform over [View.meanDays].
func (v *View) addInstallations() {
	days := v.Query.WithInstallations()
	v.installationDays = make([]rollup.Installations, days.Days())
	mean := v.meanDays()
	for i := range v.builds {
		b := &v.builds[i]
		for _, n := range b.Installations {
			if !days.Contains(n.Day) {
				continue
			}
			v.installationDays[n.Day-days.From].Add(n.Installations)
			v.remembers = v.remembers || n.Daily > 0 && v.Query.Contains(n.Day)
			if mean.Contains(n.Day) {
				b.installations += n.Daily
				b.version.installations += n.Daily
				b.platform.installations += n.Daily
				v.installations += n.Daily
			}
		}
	}
}

// usage has numbers of instances in the range, and of installations on the days of
// [View.meanDays].
type usage struct{ instances, installations int64 }

func (u *usage) add(other usage) {
	u.instances += other.instances
	u.installations += other.installations
}

// compare orders by installations, and by instances if there are as many.
func (u usage) compare(other usage) int {
	return cmp.Or(cmp.Compare(u.installations, other.installations), cmp.Compare(u.instances, other.instances))
}

// meanDays returns the days whose installations the tables of versions and platforms
// average: the days of the range that are over, or the last day if no other has
// installations.
func (v *View) meanDays() rollup.Range {
	days := rollup.Range{From: max(v.Query.From, v.Remembered.From), To: min(v.Query.To, v.Today-1)}
	if v.Remembered.Days() > 0 && days.Days() == 0 && v.Query.Contains(days.From) {
		days.To = days.From
	}
	return days
}

// addUsed adds a row with the columns of usedColumns between others, with shares of all.
func (v *View) addUsed(t *Table, keys []any, u usage, rest ...any) {
	v.addPart(t, keys, u, v.usage, rest...)
}

// addPart adds a row with the columns of usedColumns between others, with shares of a whole.
func (v *View) addPart(t *Table, keys []any, u, whole usage, rest ...any) {
	var mean, of any
	if days := v.meanDays().Days(); v.remembers && days > 0 {
		mean, of = float64(u.installations)/float64(days), share(u.installations, whole.installations)
	}
	t.addRow(slices.Concat(keys, []any{u.instances, share(u.instances, whole.instances), mean, of}, rest)...)
}

// count returns the number by which the view answers, see [View.Counted].
func (v *View) count(u usage) int64 {
	if v.remembers {
		return u.installations
	}
	return u.instances
}

// usedColumns returns columns with the usage of versions or platforms between others. Tables
// have both kinds of counts, because only some builds may remember.
func usedColumns(keys []Column, rest ...Column) []Column {
	return slices.Concat(keys, []Column{ColInstances, ColShare, ColMeanInstallations, ColInstallationShare}, rest)
}

// installationsIn adds up the installations of a period, which must have begun within
// [rollup.Range.WithInstallations].
func (v *View) installationsIn(r rollup.Range) (sum rollup.Installations) {
	first := v.Query.WithInstallations().From
	for d := max(r.From, first); d <= min(r.To, v.Query.To); d++ {
		sum.Add(v.installationDays[d-first])
	}
	return sum
}

// byFirstVersion ends notes about tables that have no rows for a filter by version.
const byFirstVersion = "not by version, because an installation counts under the first version that it reports in a period: leave the version out"

// finished returns the last period of a span at the end of the range that is over.
func (v *View) finished(s rollup.Span) rollup.Period {
	return rollup.Period{Span: s, Day: s.Start(min(v.Query.To, v.Today-1)+1) - rollup.Day(s)}
}

// installationSummary has unknown values for periods of which nothing was counted, and, for
// more than a day, if only some versions are. If no finished day was counted, it has today. A day
// is compared with the same day of the week before, because weekends differ.
func (v *View) installationSummary(t *Table) {
	if v.Query.Version != "" {
		t.addNote("for more than a day, " + byFirstVersion)
	}
	for i, span := range rollup.Spans {
		p, name := v.finished(span), []string{FinishedDay, FinishedWeek, FinishedFourWeeks}[i]
		if span == rollup.OneDay && v.Remembered.Days() > 0 && p.Day < v.Remembered.From && v.unfinished() {
			p.Day, name = v.Today, TodaySoFar
			t.addNote(unfinished)
		}
		r, b := p.Range(), rollup.Period{Span: span, Day: p.Day - max(rollup.Day(span), rollup.Day(rollup.OneWeek))}.Range()
		sum, before := v.installationsIn(r), v.installationsIn(b).In(span)
		counted := v.Remembered.Days() > 0 && r.To >= v.Remembered.From && (span == rollup.OneDay || v.Query.Version == "")
		known := counted && b.From >= v.Remembered.From
		n := sum.In(span)
		t.addRow(name, r.From, r.To, orNil(n, counted), orNil(sum.Returning(span), counted), orNil(sum.New, counted),
			orNil(before, known), orNil(float64(n)/float64(before)-1, known && before > 0), v.instancesIn(p))
	}
}

// instancesIn returns the number of instances in a period, as a value of a table. It is
// unknown if the period began before the range, and there was no report since its end.
func (v *View) instancesIn(p rollup.Period) any {
	known, n := false, int64(0)
	for i := range v.builds {
		for _, c := range *v.builds[i].Counts(p.Span) {
			if c.Day == p.Day {
				known, n = true, n+c.Instances
			}
		}
	}
	open := p.Span != rollup.OneDay && !v.Query.Contains(p.Day) && p.Range().Contains(rollup.DayOf(v.AsOf))
	return orNil(n, known || v.Known.Days() > 0 && !p.Ended(v.Known.From) && !open)
}

func (v *View) installationsDaily(t *Table) {
	if v.unfinished() {
		t.addNote(unfinished)
	}
	for _, d := range v.rememberedPeriods(rollup.OneDay) {
		n := v.installationsIn(rollup.Range{From: d, To: d})
		t.addRow(d, n.Returning(rollup.OneDay), n.New, n.Back7, n.Back28)
	}
}

func (v *View) installationsWeekly(t *Table)  { v.installationsBy(t, rollup.OneWeek) }
func (v *View) installationsMonthly(t *Table) { v.installationsBy(t, rollup.FourWeeks) }

func (v *View) installationsBy(t *Table, s rollup.Span) {
	if v.Query.Version != "" {
		t.addNote(byFirstVersion)
		return
	}
	for _, d := range v.rememberedPeriods(s) {
		r := rollup.Period{Span: s, Day: d}.Range()
		n := v.installationsIn(r)
		t.addRow(r.From, r.To, n.Returning(s), n.New)
	}
}

// rememberedPeriods returns the first days of the periods that are wholly within the range
// and can have installations.
func (v *View) rememberedPeriods(s rollup.Span) (first []rollup.Day) {
	if v.Remembered.Days() == 0 {
		return nil
	}
	for _, d := range v.periods(s) {
		if d+rollup.Day(s) > v.Remembered.From {
			first = append(first, d)
		}
	}
	return first
}

func (v *View) installationVersions(t *Table) {
	v.installationShares(t, len(v.usedVersions), versionOf,
		func(i int) []any { return []any{v.usedVersions[i].name} })
}

func (v *View) installationPlatforms(t *Table) {
	v.installationShares(t, len(v.usedPlatforms), func(b *build) int { return b.platform.index },
		func(i int) []any { return []any{v.usedPlatforms[i].OS, v.usedPlatforms[i].Arch} })
}

// installationShares adds a row for each day and each of n groups with installations. The
// function group returns the index of a build's group, and name the values that identify it.
func (v *View) installationShares(t *Table, n int, group func(*build) int, name func(int) []any) {
	if v.unfinished() {
		t.addNote(unfinished)
	}
	names := make([][]any, n)
	for i := range names {
		names[i] = name(i)
	}
	days := v.rememberedPeriods(rollup.OneDay)
	for i, used := range v.byDay(days, n, group) {
		total, day := sum(used).installations, any(days[i])
		for at, u := range used {
			if u.installations > 0 {
				t.addRow(append(append([]any{day}, names[at]...), u.installations, share(u.installations, total))...)
			}
		}
	}
}
