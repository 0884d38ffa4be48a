package pages

import (
	"cmp"
	"html/template"
	"math"
	"slices"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

func (b *builder) activitySection() section {
	p := section{ID: "activity", Title: "Activity", Lead: []string{"Instances that reported, and checks: requests for the latest release by clients that do not report."}}
	if b.total() == 0 {
		p.Lead = []string{"Checks: requests for the latest release by clients that do not report."}
		p.addFigures(b.dailyChart(stats.ColChecks, "Checks per day"), b.checksByBuild())
		return p
	}
	p.addFigures(b.dailyChart(stats.ColInstances, "Instances per day"), b.dailyChart(stats.ColChecks, "Checks per day"), b.checksByBuild(), b.repeatShare(&p))
	for _, one := range []struct{ table, title string }{{"weekly", "Instances per week"}, {"monthly", "Instances per four weeks"}} {
		if f, t := b.tableFigure(one.table, one.title); f != nil {
			f.Chart, f.Half = periodChart(t, one.title), true
			p.addFigures(f)
		}
	}
	return p
}

// dailyChart returns a chart of a column of the daily table, or nil if it has no values.
func (b *builder) dailyChart(column stats.Column, title string) *figure {
	f, t := b.tableFigure("daily", title)
	if f == nil {
		return nil
	}
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
	f.Chart = lineChart(at, title, ratios(sums, days), countAxis, func(v float64) string { // the mean, if a point covers several days
		return formatNumber(int64(math.Round(v))) + " " + column.Name
	})
	if column != stats.ColInstances {
		f.Table = newColumnsView(t, stats.ColDay, stats.ColChecks)
	}
	return f
}

// checksByBuild shows the builds with the most checks. It returns nil if there are none.
func (b *builder) checksByBuild() *figure {
	f, t := b.tableFigure("checks", "Checks by version and platform")
	if f == nil {
		return nil
	}
	most := *t
	most.Rows = slices.Clone(t.Rows)
	at := t.Index(stats.ColChecks)
	slices.SortStableFunc(most.Rows, func(a, b []any) int { return cmp.Compare(b[at].(int64), a[at].(int64)) })
	most.Rows = most.Rows[:min(maxPlatforms, len(most.Rows))]
	f.ChartTable = &tableView{Caption: f.Title, Head: []columnHead{{"Version", ""}, {"Platform", ""}, {"Checks", "n"}}}
	for r := range most.All() {
		f.ChartTable.Rows = append(f.ChartTable.Rows, []tableCell{{Text: show(r, stats.ColVersion)}, {Text: show(r, stats.ColOS) + "/" + show(r, stats.ColArch)}, {Text: show(r, stats.ColChecks), Class: "n"}})
	}
	f.ChartTable.addCharts(3, "", shareBars(&most, firstColor))
	return f
}

func lineChart(at dayPoints, label string, values []float64, scale axis, text func(float64) string) template.HTML {
	c := chart.StackedArea{Frame: chart.Frame{Label: label, Height: 160, X: at.ticks()}, Series: []chart.Series{{Class: "c0", Values: values}}}
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

// repeatShare returns a chart of the share of started instances that reported again, and
// summarizes it in the section.
func (b *builder) repeatShare(p *section) *figure {
	f, t := b.tableFigure("lifetimes", "Instances that reported more than once")
	if f == nil {
		return nil
	}
	at := newDayPoints(t, 1)
	started, again := make([]int64, at.n), make([]int64, at.n)
	var all, stayed int64
	for r := range t.All() {
		i := at.index(r.Day(stats.ColDay))
		started[i] += r.Number(stats.ColStarted)
		again[i] += r.Number(stats.ColAgain)
		all, stayed = all+r.Number(stats.ColStarted), stayed+r.Number(stats.ColAgain)
	}
	f.Chart = lineChart(at, f.Title, ratios(again, started), shareAxis, func(v float64) string { return formatShare(v) + " reported again" })
	if all > 0 {
		p.Lead = append(p.Lead, "Of "+plural(all, "instance", "instances")+" that started in this period, "+formatShare(ratio(stayed, all))+
			" reported again. The others were short-lived: a version check or a pipeline job reports once.")
	}
	return f
}

// periodChart draws a column for each period of one or four weeks.
func periodChart(t *stats.Table, label string) template.HTML {
	columns := chart.ColumnChart{Frame: chart.Frame{Label: label, Height: 160}}
	every := max(1, (len(t.Rows)+4)/5)
	for r := range t.All() {
		columns.Columns = append(columns.Columns, chart.Column{Value: float64(r.Number(stats.ColInstances)), Class: "c0",
			Title: show(r, stats.ColFrom) + " to " + show(r, stats.ColTo) + "\n" + plural(r.Number(stats.ColInstances), "instance", "instances")})
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
