package pages

import (
	"slices"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

// installationsLegend names the parts of charts of installations.
var installationsLegend = []legendItem{{"returning", "ca"}, {"new", "cn"}}

// installationsByDay shows the installations of each day, returning and new ones. It
// returns nil if none are counted.
func (b *builder) installationsByDay() *figure {
	f, t := b.emptyFigure("installations_daily", "Installations per day")
	if f == nil {
		return nil
	}
	t = b.finishedDays(t)
	at := newDayPoints(t, 1)
	returning, fresh, days := make([]int64, at.n), make([]int64, at.n), make([]int64, at.n)
	for r := range t.All() {
		i := at.index(r.Day(stats.ColDay))
		returning[i] += r.Number(stats.ColReturning)
		fresh[i] += r.Number(stats.ColNewInstallations)
		days[i]++
	}
	c := chart.StackedArea{Frame: chart.Frame{Label: f.Title, Height: 160, X: at.ticks(), Marks: b.marks(at)}, Series: []chart.Series{
		{Class: "ca", Values: ratios(returning, days)}, {Class: "cn", Values: ratios(fresh, days)}}}
	most := 0.0
	for i := range at.n {
		title := "\nno data"
		if days[i] > 0 { // the mean, if a point covers several days
			title = "\nreturning: " + formatNumber(returning[i]/days[i]) + "\nnew: " + formatNumber(fresh[i]/days[i])
			most = max(most, ratio(returning[i]+fresh[i], days[i]))
		}
		c.Titles = append(c.Titles, at.name(i)+title)
	}
	c.Y, c.Max = countAxis(most)
	f.Chart, f.Legend, f.Table = c.SVG(), installationsLegend, newTableView(t)
	return f
}

// installationsCard answers how many installations there are.
func (b *builder) installationsCard(c card) card {
	rows := slices.Collect(b.Table("installations").All())
	for _, r := range slices.Backward(rows) { // the longest period that is known
		if r.Number(stats.ColInstallations) == 0 {
			continue
		}
		c.Value = show(r, stats.ColInstallations)
		period := r.Text(stats.ColPeriod)
		when := "in the " + period + " to " + show(r, stats.ColTo)
		switch period {
		case stats.TodaySoFar:
			when = period
		case stats.FinishedDay:
			when = "on " + show(r, stats.ColTo)
		}
		text := "Installations" + b.filterText() + " " + when
		if r.Known(stats.ColChange) {
			before := period + " before"
			if period == stats.FinishedDay {
				before = "same day of the week before"
			}
			text += ", " + show(r, stats.ColChange) + " from the " + before
		}
		c.Text = []string{text + ".", plural(r.Number(stats.ColNewInstallations), "is new.", "are new.")}
		if n := r.Number(stats.ColStarts); n > 0 {
			c.Text = append(c.Text, "Programs that cannot remember started "+plural(n, "time", "times")+".")
		}
		return c
	}
	c.Value = unknown
	return c
}

// installationsToday returns the number of installations of the current day.
func (b *builder) installationsToday() (n int64) {
	for r := range b.Table("installations_daily").All() {
		if r.Day(stats.ColDay) == b.Today {
			n += r.Number(stats.ColReturning) + r.Number(stats.ColNewInstallations)
		}
	}
	return n
}

// startsTitle is the title of a chart of instances beside one of installations.
func (b *builder) startsTitle(period string) string {
	if b.Remembers() {
		return "Starts that cannot remember, per " + period
	}
	return "Instances per " + period
}
