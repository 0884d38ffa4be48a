package stats

import "relcheck/checker/stats/rollup"

// unfinished is a note about a day that is not over.
const unfinished = "the last day is not over yet"

// window has the number of distinct instances in the last days of the range, and in as many
// days before them.
type window struct {
	name string
	rollup.Range
	instances, before int64
}

func (v *View) windows() []window {
	to := v.Query.Range
	all := []window{
		{name: LastDay, Range: to.Last(1)}, {name: Last7Days, Range: to.Last(7)}, {name: Last28Days, Range: to.Last(28)},
		{name: WholeRange, Range: to, instances: v.instances},
	}
	for i := range v.builds {
		r := &v.builds[i].Recent
		all[0].instances, all[0].before = all[0].instances+r.Day, all[0].before+r.DayBefore
		all[1].instances, all[1].before = all[1].instances+r.Week, all[1].before+r.WeekBefore
		all[2].instances, all[2].before = all[2].instances+r.Month, all[2].before+r.MonthBefore
		all[3].before += r.RangeBefore
	}
	return all
}

// hasBefore reports whether there is data of as many days before a range.
func (v *View) hasBefore(r rollup.Range) bool {
	return v.Known.Days() > 0 && r.Previous().From >= v.Known.From
}

func (v *View) summary(t *Table) {
	if v.unfinished() {
		t.addNote(unfinished)
	}
	days := v.perDay()
	for _, s := range v.windows() {
		known := v.hasBefore(s.Range)
		// A day that is not over is not compared with the day before.
		comparable := known && s.before > 0 && !(s.Days() == 1 && v.unfinished())
		row := []any{s.name, s.From, s.To, s.instances, orNil(s.before, known),
			orNil(float64(s.instances)/float64(s.before)-1, comparable), nil, nil}
		if s.From >= v.Query.From { // otherwise not all of its days are known
			var reports, checks int64
			for _, d := range days[s.From-v.Query.From:] {
				reports, checks = reports+d.Reports, checks+d.Checks
			}
			row[6], row[7] = reports, checks
		}
		t.addRow(row...)
	}
}

// perDay adds up all builds, for each day of the range.
func (v *View) perDay() []rollup.Count {
	all := make([]rollup.Count, max(1, v.Query.Days()))
	for i := range v.builds {
		for _, c := range v.builds[i].Days {
			if !v.Query.Contains(c.Day) {
				continue
			}
			sum := &all[c.Day-v.Query.From]
			sum.Instances += c.Instances
			sum.Reports += c.Reports
			sum.Checks += c.Checks
			sum.Started += c.Started
			sum.Repeated += c.Repeated
		}
	}
	return all
}

func (v *View) daily(t *Table) {
	if v.unfinished() {
		t.addNote(unfinished)
	}
	all, days := v.perDay(), v.days()
	for d := days.From; d <= days.To; d++ {
		c := all[d-v.Query.From]
		t.addRow(d, c.Instances, c.Reports, c.Checks)
	}
}

func (v *View) lifetimes(t *Table) {
	t.addNote("instances of the last two days may still do so")
	all, days := v.perDay(), v.days()
	for d := days.From; d <= days.To; d++ {
		started := max(0, all[d-v.Query.From].Started)
		again := min(max(0, all[d-v.Query.From].Repeated), started)
		t.addRow(d, started, again, share(again, started))
	}
}

func (v *View) weekly(t *Table)  { v.periodic(t, rollup.OneWeek) }
func (v *View) monthly(t *Table) { v.periodic(t, rollup.FourWeeks) }

func (v *View) periodic(t *Table, s rollup.Span) {
	for _, c := range v.perPeriod(s) {
		t.addRow(c.Day, rollup.Period{Span: s, Day: c.Day}.Range().To, c.Instances, c.Reports)
	}
}

// perPeriod adds up all builds, for each period of the range that can have data.
func (v *View) perPeriod(s rollup.Span) (all []rollup.Count) {
	first := v.periods(s)
	for _, d := range first {
		all = append(all, rollup.Count{Day: d})
	}
	for b := range v.builds {
		for _, c := range *v.builds[b].Counts(s) {
			if i, ok := periodIndex(c.Day, s, first); ok {
				all[i].Instances += c.Instances
				all[i].Reports += c.Reports
			}
		}
	}
	return all
}

// periods returns the first days of the periods that are wholly within the range and can
// have data.
func (v *View) periods(s rollup.Span) (first []rollup.Day) {
	days := v.days()
	for _, p := range v.Query.Periods(s) {
		if r := p.Range(); r.To >= days.From && r.From <= days.To {
			first = append(first, p.Day)
		}
	}
	return first
}
