package pages

import (
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

// installationsByPeriod shows the installations of each week or four weeks.
func (b *builder) installationsByPeriod(table, title string) *figure {
	f, t := b.tableFigure(table, title)
	if f == nil {
		return nil
	}
	columns := chart.ColumnChart{Frame: chart.Frame{Label: title, Height: 160}}
	every, most := max(1, (len(t.Rows)+4)/5), 0.0
	for r := range t.All() {
		returning, fresh := r.Number(stats.ColReturning), r.Number(stats.ColNewInstallations)
		title := show(r, stats.ColFrom) + " to " + show(r, stats.ColTo)
		if r.Day(stats.ColTo) >= b.Today {
			title += ", so far"
		}
		columns.Columns = append(columns.Columns, chart.Column{Value: float64(returning), Class: "ca", Above: float64(fresh), AboveClass: "cn",
			Title: title + "\nreturning: " + formatNumber(returning) + "\nnew: " + formatNumber(fresh)})
		if i := len(columns.Columns) - 1; i%every == every/2 {
			columns.X = append(columns.X, columnTick(i, len(t.Rows), r.Day(stats.ColFrom).Time().Format("2 Jan")))
		}
		most = max(most, float64(returning+fresh))
	}
	columns.Y, columns.Max = countAxis(most)
	f.Chart, f.Legend, f.Half = columns.SVG(), installationsLegend, true
	return f
}

// installationsCard answers how many installations there are.
func (b *builder) installationsCard(c card) card {
	for _, period := range []struct{ name, text string }{{stats.FinishedFourWeeks, "four weeks"}, {stats.FinishedWeek, "week"}, {stats.FinishedDay, "day"}, {stats.TodaySoFar, stats.TodaySoFar}} {
		for r := range b.Table("installations").All() {
			if r.Text(stats.ColPeriod) != period.name || !r.Known(stats.ColInstallations) || r.Number(stats.ColInstallations) == 0 {
				continue
			}
			c.Value = show(r, stats.ColInstallations)
			text := plural(r.Number(stats.ColInstallations), "installation", "installations") + b.filterText() + " reported in the " + period.text + " to " + show(r, stats.ColTo)
			if period.name == stats.TodaySoFar {
				text = plural(r.Number(stats.ColInstallations), "installation", "installations") + b.filterText() + " reported " + stats.TodaySoFar
			}
			if r.Known(stats.ColChange) {
				text += ", " + show(r, stats.ColChange) + " from the " + period.text + " before"
			}
			c.Text = []string{text + ".", formatNumber(r.Number(stats.ColNewInstallations)) + " of them are new."}
			if n := r.Number(stats.ColStarts); n > 0 {
				c.Text = append(c.Text, "Apart from them, "+plural(n, "start", "starts")+" of programs that cannot remember.")
			}
			return c
		}
	}
	c.Value = unknown
	return c
}

// startsTitle is the title of a chart of instances beside one of installations.
func (b *builder) startsTitle(period string) string {
	if b.Remembers() {
		return "Starts of programs that cannot remember, per " + period
	}
	return "Instances per " + period
}
