package pages

import (
	"math"
	"slices"
	"strings"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// chartHeight is the height of most charts without their axes, in pixels.
const chartHeight = 220

func (b *builder) overviewSection() section {
	p := section{ID: "overview", Title: "Overview", Cards: b.cards()}
	if b.firstDay() {
		p.addFigures(b.versionsTable())
		return p
	}
	var counts, shares []*figure
	if b.Remembers() {
		counts, shares = append(counts, b.installationsByDay()), append(shares, b.adoptionChart("installation_versions", stats.ColInstallations))
	}
	if b.instances() > 0 {
		counts, shares = append(counts, b.dailyChart(stats.ColInstances, b.startsTitle("day"))), append(shares, b.adoptionChart("adoption", stats.ColInstances))
	}
	if all := append(counts, shares...); len(counts) > 1 {
		p.addHalves(all...)
	} else {
		p.addFigures(all...)
	}
	return p
}

// adoptionChart shows the shares of versions by day, of a column of a table.
func (b *builder) adoptionChart(table string, counted stats.Column) *figure {
	f, t := b.emptyFigure(table, "Share of "+counted.Name+" by "+b.launchKind())
	if f == nil {
		return nil
	}
	t = b.finishedDays(t)
	at := newDayPoints(t, 1)
	counts, totals := b.countBySeries(t, at, counted)
	f.Legend = b.series.legend(func(i int) bool { return counts[i] != nil })
	f.Table = b.seriesTable(f.Title, at, counted, counts, totals)
	shares := chart.StackedArea{Frame: chart.Frame{Label: f.Title + " by day", Height: 300, X: at.ticks(), Marks: b.marks(at)}}
	shares.Y, shares.Max = shareAxis(1)
	for i, n := range counts {
		if n != nil {
			shares.Series = append(shares.Series, chart.Series{Name: b.series.name(i), Class: b.series.class(i), Values: ratios(n, totals)})
		}
	}
	for i := range at.n {
		shares.Titles = append(shares.Titles, b.pointTitle(at.name(i), counts, totals, i))
	}
	f.Chart = shares.SVG()
	return f
}

// countBySeries counts by series and point, and in total by point. The counts of
// a series without instances are nil.
func (b *builder) countBySeries(t *stats.Table, at dayPoints, counted stats.Column) (counts [][]int64, totals []int64) {
	counts, totals = make([][]int64, len(b.series.names)+1), make([]int64, at.n)
	for r := range t.All() {
		s := b.series.index(r.Text(stats.ColVersion))
		if counts[s] == nil {
			counts[s] = make([]int64, at.n)
		}
		i := at.index(r.Day(stats.ColDay))
		counts[s][i] += r.Number(counted)
		totals[i] += r.Number(counted)
	}
	return counts, totals
}

// marks returns the launches on a time axis.
func (b *builder) marks(at dayPoints) (all []chart.Tick) {
	for _, l := range slices.Backward(b.Launches()) {
		if i := int(l.Day - at.first); l.Day > 0 && i >= 0 && i < at.n*at.step {
			all = append(all, chart.Tick{At: (float64(i) + 0.5) / float64(at.n*at.step), Text: l.Name})
		}
	}
	return all
}

func ratio(n, all int64) float64 {
	if all == 0 {
		return math.NaN()
	}
	return float64(n) / float64(all)
}

func ratios(counts, all []int64) []float64 {
	values := make([]float64, len(all))
	for i := range all {
		values[i] = ratio(counts[i], all[i])
	}
	return values
}

func (b *builder) pointTitle(day string, counts [][]int64, totals []int64, i int) string {
	var s strings.Builder
	s.WriteString(day)
	for at, n := range counts {
		if n != nil && n[i] > 0 {
			s.WriteString("\n" + b.series.name(at) + ": " + formatShare(ratio(n[i], totals[i])) + " · " + formatNumber(n[i]))
		}
	}
	if totals[i] == 0 {
		s.WriteString("\nno instances")
	}
	return s.String()
}

func (b *builder) seriesTable(title string, at dayPoints, counted stats.Column, counts [][]int64, totals []int64) *tableView {
	g := &tableView{Caption: title, Head: []columnHead{{"Day", ""}, {counted.Head, "n x"}}, Dense: true}
	for i, n := range counts {
		if n != nil {
			g.Head = append(g.Head, columnHead{b.series.name(i), "n"})
		}
	}
	for i := range at.n {
		line := []tableCell{{Text: at.name(i)}, {Text: formatNumber(totals[i]), Class: "n x"}}
		for _, n := range counts {
			if n != nil {
				line = append(line, tableCell{Text: formatValue(stats.Share, ratio(n[i], totals[i])), Class: "n"})
			}
		}
		g.Rows = append(g.Rows, line)
	}
	return g
}

// maxPoints is the maximum number of points of a chart. If there are more days, a point
// covers several.
const maxPoints = 400

type dayPoints struct {
	first rollup.Day
	step  int // days that a point covers
	n     int
}

// newDayPoints returns the points of a table that has rows, and a day in each.
func newDayPoints(t *stats.Table, step int) dayPoints {
	first, last := rollup.Day(math.MaxInt64), rollup.Day(math.MinInt64)
	for r := range t.All() {
		first, last = min(first, r.Day(stats.ColDay)), max(last, r.Day(stats.ColDay))
	}
	days := int(last-first) + step
	step *= (days/step + maxPoints - 1) / maxPoints
	return dayPoints{first, step, (days + step - 1) / step}
}

func (p dayPoints) index(d rollup.Day) int { return int(d-p.first) / p.step }

// name formats the days that a point covers.
func (p dayPoints) name(i int) string {
	day := p.first + rollup.Day(i*p.step)
	if p.step == 1 {
		return formatDay(day)
	}
	return formatDay(day) + " to " + formatDay(day+rollup.Day(p.step)-1)
}

func (p dayPoints) ticks() []chart.Tick { return chart.DayTicks(p.first.Time(), p.n*p.step) }

// axis returns the ticks of an axis up to most, and its end.
type axis func(most float64) ([]chart.Tick, float64)

func shareAxis(most float64) ([]chart.Tick, float64) {
	return chart.LinearTicks(math.Max(most, 0.01), 4, func(v float64) string { return strings.Replace(formatShare(v), ".0", "", 1) })
}

func countAxis(most float64) ([]chart.Tick, float64) {
	return chart.LinearTicks(math.Max(most, 4), 4, func(v float64) string { return formatShort(int64(v)) })
}

// formatShort formats a number in the short form of an axis label, such as 1.2M.
func formatShort(n int64) string {
	size, unit := 1e3, "k"
	switch {
	case n < 1e4:
		return formatNumber(n)
	case n >= 1e9:
		size, unit = 1e9, "G"
	case n >= 1e6:
		size, unit = 1e6, "M"
	}
	return strings.TrimSuffix(formatValue(stats.Number, math.Round(float64(n)/size*10)/10), ".0") + unit
}
