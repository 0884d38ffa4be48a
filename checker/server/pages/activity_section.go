package pages

import (
	"html/template"
	"math"
	"slices"
	"strings"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

func (b *builder) activitySection() section {
	p := section{ID: "activity", Title: "Activity", Lead: b.todayText()}
	if !b.reported() {
		p.Lead = append(b.nothing(), p.Lead...)
		p.addFigures(b.dailyChart(stats.ColChecks, "Checks per day"), b.checksByBuild())
		return p
	}
	if b.firstDay() {
		p.Lead = append(p.Lead, "Charts over time begin tomorrow, when this day is over.")
		p.addFigures(b.checksByBuild())
		return p
	}
	if b.Remembers() {
		p.addHalves(b.installationsByDay(), b.periodFigure("installations_weekly", "Installations per week", stats.ColReturning, stats.ColNewInstallations),
			b.periodFigure("installations_monthly", "Installations per four weeks", stats.ColReturning, stats.ColNewInstallations))
	}
	if b.instances() > 0 {
		p.addHalves(b.dailyChart(stats.ColInstances, b.startsTitle("day")), b.periodFigure("weekly", b.startsTitle("week"), stats.ColInstances, stats.Column{}))
	}
	if !b.Remembers() {
		p.addHalves(b.periodFigure("monthly", "Instances per four weeks", stats.ColInstances, stats.Column{}))
	}
	p.addHalves(b.repeatShare(), b.dailyChart(stats.ColChecks, "Checks per day"), b.checksByBuild())
	return p
}

// todayText describes the current day, which the charts leave out unless it is the only one.
func (b *builder) todayText() []string {
	r, ok := b.period(stats.LastDay)
	if !ok || b.Query.To != b.Today || !r.Known(stats.ColReports) {
		return nil
	}
	n, one, many := r.Number(stats.ColInstances), "instance has", "instances have"
	if b.Remembers() {
		n, one, many = b.installationsToday(), "installation has", "installations have"
	}
	return []string{"Today so far, " + plural(n, one, many) + " reported."}
}

// dailyChart returns a chart of a column of the daily table, or nil if it has no values.
func (b *builder) dailyChart(column stats.Column, title string) *figure {
	f, t := b.emptyFigure("daily", title)
	if f == nil {
		return nil
	}
	t = b.finishedDays(t)
	at := newDayPoints(t, 1)
	sums, days := make([]int64, at.n), make([]int64, at.n)
	for r := range t.All() {
		i := at.index(r.Day(stats.ColDay))
		sums[i] += r.Number(column)
		days[i]++
	}
	if slices.Max(sums) == 0 && column != stats.ColInstances {
		return nil
	}
	f.Name += "-" + column.Name
	f.Chart = b.lineChart(at, title, ratios(sums, days), countAxis, func(v float64) string { // the mean, if a point covers several days
		return plural(int64(math.Round(v)), strings.TrimSuffix(column.Name, "s"), column.Name)
	})
	f.Table = newTableView(t)
	if column != stats.ColInstances {
		f.Table = newColumnsView(t, stats.ColDay, stats.ColChecks)
	}
	return f
}

// checksByBuild shows the builds with the most checks. It returns nil if there are none.
func (b *builder) checksByBuild() *figure {
	f, t := b.emptyFigure("checks", "Checks by version and platform")
	if f == nil {
		return nil
	}
	f.Lead = aboutChecks
	t = t.MostFirst(stats.ColChecks)
	f.ChartTable = &tableView{Caption: f.Title, Head: []columnHead{{"Version", ""}, {"Platform", ""}, {"Checks", "n"}}}
	for r := range t.All() {
		if len(f.ChartTable.Rows) < maxRows {
			f.ChartTable.Rows = append(f.ChartTable.Rows, []tableCell{{Text: show(r, stats.ColVersion)}, {Text: platformName(r)}, {Text: show(r, stats.ColChecks), Class: "n"}})
		}
	}
	f.ChartTable.addCharts(3, "", shareBars(t, stats.ColShare, plain))
	return f
}

func (b *builder) lineChart(at dayPoints, label string, values []float64, scale axis, text func(float64) string) template.HTML {
	c := chart.StackedArea{Frame: chart.Frame{Label: label, Height: 160, X: at.ticks(), Marks: b.marks(at)}, Series: []chart.Series{{Class: "ca", Values: values}}}
	most := 0.0
	for i, v := range values {
		title := "no data"
		if !math.IsNaN(v) {
			title, most = text(v), max(most, v)
		}
		c.Titles = append(c.Titles, at.name(i)+"\n"+title)
	}
	c.Y, c.Max = scale(most)
	return c.SVG()
}

// repeatShare returns a chart of the share of started instances that reported again.
func (b *builder) repeatShare() *figure {
	f, t := b.tableFigure("lifetimes", "Instances that reported more than once")
	if f == nil {
		return nil
	}
	t = b.finishedDays(t)
	f.Table = newTableView(t)
	at := newDayPoints(t, 1)
	started, again := make([]int64, at.n), make([]int64, at.n)
	var all, stayed int64
	for r := range t.All() {
		i := at.index(r.Day(stats.ColDay))
		started[i] += r.Number(stats.ColStarted)
		again[i] += r.Number(stats.ColAgain)
		all, stayed = all+r.Number(stats.ColStarted), stayed+r.Number(stats.ColAgain)
	}
	f.Chart = b.lineChart(at, f.Title, ratios(again, started), shareAxis, func(v float64) string { return formatShare(v) + " reported again" })
	if all > 0 {
		f.Lead = "Of " + plural(all, "instance", "instances") + " that started in this period, " + formatShare(ratio(stayed, all)) +
			" reported again. The others reported once, as short-lived processes do."
	}
	return f
}

// periodFigure shows the counts of each week or four weeks in a column of a table, and above it
// those in another one, if above is not empty. A period that is not over is pale. It returns
// nil if the table has no rows.
func (b *builder) periodFigure(table, title string, below, above stats.Column) *figure {
	f, t := b.tableFigure(table, title)
	if f == nil {
		return nil
	}
	c := chart.ColumnChart{Frame: chart.Frame{Label: title, Height: 160}}
	every, most, open := max(1, (len(t.Rows)+4)/5), 0.0, false
	for r := range t.All() {
		column := chart.Column{Value: float64(r.Number(below)), Class: "ca", AboveClass: "cn", Title: show(r, stats.ColFrom) + " to " + show(r, stats.ColTo)}
		if open = r.Day(stats.ColTo) >= b.Today; open {
			column.Class, column.AboveClass, column.Title = "ca open", "cn open", column.Title+", so far"
		}
		if above == (stats.Column{}) {
			column.Title += "\n" + plural(r.Number(below), "instance", "instances")
		} else {
			column.Above = float64(r.Number(above))
			column.Title += "\nreturning: " + show(r, below) + "\nnew: " + show(r, above)
		}
		if i := len(c.Columns); i%every == every/2 {
			c.X = append(c.X, columnTick(i, len(t.Rows), r.Day(stats.ColFrom).Time().Format("2 Jan")))
		}
		c.Columns, most = append(c.Columns, column), max(most, column.Value+column.Above)
	}
	if above != (stats.Column{}) {
		f.Legend = slices.Clone(installationsLegend)
	}
	if open {
		f.Legend = append(f.Legend, legendItem{"not over yet", "ca open"})
	}
	c.Y, c.Max = countAxis(most)
	f.Chart = c.SVG()
	return f
}

func columnTick(i, n int, text string) chart.Tick {
	return chart.Tick{At: (float64(i) + 0.5) / float64(n), Text: text}
}

// drawColumns adds the Y axis that fits the columns, and draws the chart.
func drawColumns(c chart.ColumnChart, scale axis) template.HTML {
	most := 0.0
	for _, column := range c.Columns {
		most = max(most, column.Value)
	}
	c.Y, c.Max = scale(most)
	return c.SVG()
}
