package pages

import (
	"html/template"
	"math"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

// activitySection shows the numbers of instances and checks over time.
func (b *builder) activitySection() section {
	p := section{ID: "activity", Title: "Activity", Lead: []string{"Instances that reported, and checks: requests for the latest release by clients that do not report."}}
	if b.public {
		p.Lead = []string{"Instances that reported in each week."}
	}
	if b.total() == 0 {
		p.Lead = []string{"Checks: requests for the latest release by clients that do not report."}
		p.addFigures(b.dailyChart(stats.ColChecks, "Checks per day"))
		return p
	}
	p.addFigures(b.dailyChart(stats.ColInstances, "Instances per day"), b.dailyChart(stats.ColChecks, "Checks per day"), b.repeatShare(&p))
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
	at := newDayPoints(t, stats.ColDay, 1)
	sums, days := make([]float64, at.n), make([]float64, at.n)
	for r := range t.All() {
		sums[at.index(r.Day(stats.ColDay))] += float64(r.Number(column))
		days[at.index(r.Day(stats.ColDay))]++
	}
	most := 0.0
	values := make([]float64, at.n)
	for i := range values {
		values[i] = sums[i] / days[i] // the mean, if a point covers several days
		most = math.Max(most, values[i])
	}
	if most == 0 && column != stats.ColInstances {
		return nil
	}
	f.Name += "-" + column.Name
	f.Chart = b.lineChart(at, title, values, most, false, func(v float64) string {
		return formatNumber(int64(math.Round(v))) + " " + column.Name
	})
	if column != stats.ColInstances {
		f.Table = newColumnsView(t, stats.ColDay, stats.ColChecks)
	}
	return f
}

// lineChart draws a value over time.
func (b *builder) lineChart(at dayPoints, label string, values []float64, most float64, shares bool, text func(float64) string) template.HTML {
	c := chart.StackedArea{Frame: chart.Frame{Label: label, Height: 160, X: at.ticks()}}
	if shares {
		c.Y, c.Max = shareAxis(most)
	} else {
		c.Y, c.Max = countAxis(most)
	}
	c.Series = []chart.Series{{Class: "c0", Values: values}}
	for i, v := range values {
		title := at.name(i) + "\n"
		if math.IsNaN(v) {
			title += "no data"
		} else {
			title += text(v)
		}
		c.Titles = append(c.Titles, title)
	}
	return c.SVG()
}

// repeatShare returns a chart of the share of started instances that reported again, and
// summarizes it in the section.
func (b *builder) repeatShare(p *section) *figure {
	f, t := b.tableFigure("lifetimes", "Instances that reported more than once")
	if f == nil {
		return nil
	}
	at := newDayPoints(t, stats.ColDay, 1)
	started, again := make([]int64, at.n), make([]int64, at.n)
	var all, stayed int64
	for r := range t.All() {
		i := at.index(r.Day(stats.ColDay))
		started[i] += r.Number(stats.ColStarted)
		again[i] += r.Number(stats.ColAgain)
		all, stayed = all+r.Number(stats.ColStarted), stayed+r.Number(stats.ColAgain)
	}
	values, most := make([]float64, at.n), 0.0
	for i := range values {
		values[i] = ratio(again[i], started[i])
		if started[i] > 0 {
			most = math.Max(most, values[i])
		}
	}
	f.Chart = b.lineChart(at, f.Title, values, most, true, func(v float64) string { return formatShare(v) + " reported again" })
	if all > 0 {
		p.Lead = append(p.Lead, "Of "+plural(all, "instance", "instances")+" that started in this period, "+formatShare(ratio(stayed, all))+
			" reported again. The others were short-lived: a version check or a pipeline job reports once.")
	}
	return f
}

// periodChart draws a column for each period of one or four weeks.
func periodChart(t *stats.Table, label string) template.HTML {
	columns := chart.ColumnChart{Frame: chart.Frame{Label: label, Height: 160}}
	most, n := 0.0, len(t.Rows)
	for r := range t.All() {
		i := len(columns.Columns)
		most = math.Max(most, float64(r.Number(stats.ColInstances)))
		columns.Columns = append(columns.Columns, chart.Column{Value: float64(r.Number(stats.ColInstances)), Class: "c0",
			Title: show(r, stats.ColFrom) + " to " + show(r, stats.ColTo) + "\n" + plural(r.Number(stats.ColInstances), "instance", "instances")})
		if every := max(1, (n+4)/5); i%every == every/2 {
			columns.X = append(columns.X, chart.Tick{At: (float64(i) + 0.5) / float64(n), Text: r.Day(stats.ColFrom).Time().Format("2 Jan")})
		}
	}
	columns.Y, columns.Max = countAxis(most)
	return columns.SVG()
}
