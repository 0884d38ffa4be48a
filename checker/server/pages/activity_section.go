package pages

import (
	"html/template"
	"math"
	"slices"

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
	if b.Remembers() {
		p.addFigures(b.installationsByDay(), b.installationsByPeriod("installations_weekly", "Installations per week"),
			b.installationsByPeriod("installations_monthly", "Installations per four weeks"))
	}
	instances := []struct{ table, title string }{{"weekly", b.startsTitle("week")}, {"monthly", b.startsTitle("four weeks")}}
	if b.instances() == 0 {
		instances = nil
	} else {
		p.addFigures(b.dailyChart(stats.ColInstances, b.startsTitle("day")))
	}
	for _, one := range instances {
		if f, t := b.tableFigure(one.table, one.title); f != nil {
			f.Chart, f.Half = b.periodChart(t, one.title), true
			p.addFigures(f)
		}
	}
	for _, f := range []*figure{b.repeatShare(), b.dailyChart(stats.ColChecks, "Checks per day")} {
		if f != nil {
			f.Half = true
			p.addFigures(f)
		}
	}
	p.addFigures(b.checksByBuild())
	return p
}

// todayText describes the current day, which the charts leave out.
func (b *builder) todayText() []string {
	r, ok := b.period(stats.LastDay)
	if !ok || b.Query.To != b.Today || !r.Known(stats.ColReports) {
		return nil
	}
	return []string{"Today so far, " + plural(r.Number(stats.ColInstances), "instance has", "instances have") + " reported. The charts show whole days."}
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
		return formatNumber(int64(math.Round(v))) + " " + column.Name
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
	f.Lead = "A check is a request for the latest release by a client that does not report."
	t = mostFirst(t, stats.ColChecks)
	f.ChartTable = &tableView{Caption: f.Title, Head: []columnHead{{"Version", ""}, {"Platform", ""}, {"Checks", "n"}}}
	for r := range t.All() {
		if len(f.ChartTable.Rows) < maxRows {
			f.ChartTable.Rows = append(f.ChartTable.Rows, []tableCell{{Text: show(r, stats.ColVersion)}, {Text: show(r, stats.ColOS) + "/" + show(r, stats.ColArch)}, {Text: show(r, stats.ColChecks), Class: "n"}})
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
			" reported again. The others were short-lived: a version check or a pipeline job reports once."
	}
	return f
}

// periodChart draws a column for each period of one or four weeks. A period that is not over
// is gray.
func (b *builder) periodChart(t *stats.Table, label string) template.HTML {
	columns := chart.ColumnChart{Frame: chart.Frame{Label: label, Height: 160}}
	every := max(1, (len(t.Rows)+4)/5)
	for r := range t.All() {
		class, soFar := "ca", ""
		if r.Day(stats.ColTo) >= b.Today {
			class, soFar = "cm", " so far"
		}
		columns.Columns = append(columns.Columns, chart.Column{Value: float64(r.Number(stats.ColInstances)), Class: class,
			Title: show(r, stats.ColFrom) + " to " + show(r, stats.ColTo) + "\n" + plural(r.Number(stats.ColInstances), "instance", "instances") + soFar})
		if i := len(columns.Columns) - 1; i%every == every/2 {
			columns.X = append(columns.X, columnTick(i, len(t.Rows), r.Day(stats.ColFrom).Time().Format("2 Jan")))
		}
	}
	return drawColumns(columns, countAxis)
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
