package pages

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// chartHeight is the height of most charts without their axes, in pixels.
const chartHeight = 240

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

func (b *builder) adoptionSection() section {
	p := section{ID: "spread", Title: "Adoption"}
	p.Lead = []string{"The share of instances that ran each " + b.seriesKind() + ", by day."}
	if b.byLine {
		p.Lead = append(p.Lead, "The table of versions below lists every single version.")
	}
	p.addFigures(b.adoptionChart(), b.adoptionSpeed())
	return p
}

func (b *builder) adoptionChart() *figure {
	f, t := b.emptyFigure("adoption", "Share of instances by "+b.seriesKind())
	if f == nil {
		return nil
	}
	at := newDayPoints(t, 1)
	counts := b.countBySeries(t, at)
	names := b.presentSeries(counts)
	f.Legend = b.legend(names)
	f.Table = seriesTable(f.Title, at, names, counts)
	if b.Query.To == b.Today && at.step == 1 && at.n > 2 { // leave out today, whose shares are based on few reports
		at.n--
	}
	shares := chart.StackedArea{Frame: chart.Frame{Label: f.Title + " by day", Height: 320, X: at.ticks()}}
	shares.Y, shares.Max = shareAxis(1)
	for _, item := range f.Legend {
		shares.Series = append(shares.Series, chart.Series{Name: item.Text, Class: item.Class, Values: ratios(counts[item.Text], counts[""])[:at.n]})
	}
	for i := range at.n {
		shares.Titles = append(shares.Titles, pointTitle(at.name(i), names, counts, i))
	}
	f.Chart = shares.SVG()
	return f
}

// countBySeries counts instances by series and point. The key "" has the counts of all.
func (b *builder) countBySeries(t *stats.Table, at dayPoints) map[string][]int64 {
	counts := map[string][]int64{"": make([]int64, at.n)}
	for r := range t.All() {
		name := b.series(r.Text(stats.ColVersion))
		if counts[name] == nil {
			counts[name] = make([]int64, at.n)
		}
		i := at.index(r.Day(stats.ColDay))
		counts[name][i] += r.Number(stats.ColInstances)
		counts[""][i] += r.Number(stats.ColInstances)
	}
	return counts
}

// presentSeries returns the series that have counts, newest first.
func (b *builder) presentSeries(counts map[string][]int64) (names []string) {
	for _, name := range append(slices.Clone(b.colored), otherName) {
		if counts[name] != nil {
			names = append(names, name)
		}
	}
	return names
}

func (b *builder) legend(names []string) (all []legendItem) {
	for _, name := range names {
		all = append(all, legendItem{name, cmp.Or(b.colors[name], "cx")})
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

func pointTitle(day string, names []string, counts map[string][]int64, i int) string {
	var s strings.Builder
	s.WriteString(day)
	for _, name := range names {
		if n := counts[name][i]; n > 0 {
			s.WriteString("\n" + name + ": " + formatShare(ratio(n, counts[""][i])) + " · " + formatNumber(n))
		}
	}
	if counts[""][i] == 0 {
		s.WriteString("\nno instances")
	}
	return s.String()
}

func seriesTable(title string, at dayPoints, names []string, counts map[string][]int64) *tableView {
	g := &tableView{Caption: title, Head: []columnHead{{"Day", ""}, {"Instances", "n"}}}
	for _, name := range names {
		g.Head = append(g.Head, columnHead{name, "n"})
	}
	for i := range at.n {
		line := []tableCell{{Text: at.name(i)}, {Text: formatNumber(counts[""][i]), Class: "n"}}
		for _, name := range names {
			line = append(line, tableCell{Text: formatValue(stats.Share, ratio(counts[name][i], counts[""][i])), Class: "n"})
		}
		g.Rows = append(g.Rows, line)
	}
	return g
}

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

// adoptionSpeed shows how many days each release took to be used by half of the instances.
func (b *builder) adoptionSpeed() *figure {
	f, t := b.emptyFigure("releases", "Adoption speed")
	if f == nil {
		return nil
	}
	t = t.Filter(func(r stats.Row) bool {
		return r.Known(stats.ColHalf) || r.Known(stats.ColReleased) && r.Day(stats.ColReleased) >= b.Query.From
	})
	if len(t.Rows) == 0 {
		return nil
	}
	f.Table = newColumnsView(t, stats.ColVersion, stats.ColHalf, stats.ColReleased, stats.ColInstances, stats.ColShare)
	f.Table.addCharts(1, "Days until half of the instances ran it or newer", bars(t, func(r stats.Row) float64 { return float64(r.Number(stats.ColHalf)) }, firstColor))
	return f
}
