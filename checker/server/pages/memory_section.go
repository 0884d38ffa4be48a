package pages

import (
	"html/template"
	"math"
	"slices"
	"strings"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// percentiles are the columns with percentiles of heap sizes, in ascending order.
var percentiles = []stats.Column{stats.ColP50, stats.ColP90, stats.ColP95, stats.ColP99}

func (b *builder) memorySection() section {
	p := section{ID: "memory", Title: "Memory", Lead: []string{"Heap usage that installations and instances report. 95\u00a0% of them use no more than the value p95."}}
	p.addHalves(b.heapChange(), b.heapHistogram())
	p.addFigures(b.heapTable("Heap by version", true))
	p.addHalves(b.heapTable("Heap by platform", false), b.heapAbove())
	return p
}

// heapHistogram shows the distribution of heap sizes on a logarithmic scale.
func (b *builder) heapHistogram() *figure {
	f, t := b.tableFigure("heap_histogram", "Instances by heap")
	if f == nil {
		return nil
	}
	if len(t.Rows) == 1 { // a chart would be a single bar
		f.ChartTable, f.Table = f.Table, nil
		return f
	}
	columns := chart.ColumnChart{Frame: chart.Frame{Label: "Share of instances by heap", Height: 290}, Scale: true}
	all, n := slices.Collect(t.All()), len(t.Rows)
	for _, r := range all {
		columns.Columns = append(columns.Columns, chart.Column{Value: r.Float(stats.ColShare), Class: "ca",
			Title: show(r, stats.ColFromBytes) + " to " + show(r, stats.ColToBytes) + "\n" + plural(r.Number(stats.ColInstanceDays), "instance-day", "instance-days") + " (" + show(r, stats.ColShare) + ")"})
	}
	for i, every := 0, max(1, (n+4)/5); i <= n; i += every {
		edge := stats.ColToBytes
		if i < n {
			edge = stats.ColFromBytes
		}
		columns.X = append(columns.X, chart.Tick{At: float64(i) / float64(n), Text: show(all[min(i, n-1)], edge)})
	}
	for r := range b.Table("heap").All() {
		if r.Known(stats.ColVersion) || r.Known(stats.ColOS) {
			continue
		}
		columns.Rules = percentileRules(all, r)
	}
	f.Chart = drawColumns(columns, shareAxis)
	return f
}

// percentileRules returns the lines at the percentiles of a row. Percentiles of the same value
// share one.
func percentileRules(bins []stats.Row, r stats.Row) (rules []chart.Tick) {
	for i := 0; i < len(percentiles); i++ {
		name, value := percentiles[i].Name, percentiles[i]
		for i+1 < len(percentiles) && r.Float(percentiles[i+1]) == r.Float(value) {
			i++
		}
		if last := percentiles[i].Name; last != name {
			name += "–" + last
		}
		if at, ok := heapPosition(bins, r.Float(value)); ok && r.Known(value) {
			rules = append(rules, chart.Tick{At: at, Text: name + " " + show(r, value)})
		}
	}
	return rules
}

// heapPosition returns the position of a heap size on the axis of the histogram, from 0 to
// 1, and whether it is within its bins.
func heapPosition(bins []stats.Row, bytes float64) (at float64, ok bool) {
	for i, r := range bins {
		from, to := r.Float(stats.ColFromBytes), r.Float(stats.ColToBytes)
		if bytes < from || bytes > to || to <= from {
			continue
		}
		inside := (bytes - from) / (to - from)
		if from > 0 {
			inside = math.Log(bytes/from) / math.Log(to/from)
		}
		return (float64(i) + inside) / float64(len(bins)), true
	}
	return 0, false
}

// heapTable shows the percentiles of heap sizes by version or by platform, the most used
// first.
func (b *builder) heapTable(title string, byVersion bool) *figure {
	f, t := b.emptyFigure("heap", title)
	if f == nil {
		return nil
	}
	about, other := stats.ColVersion, stats.ColOS
	counted := stats.ColInstances
	if b.Remembers() { // whose heaps count by day only
		counted = stats.ColInstanceDays
	}
	columns := append(slices.Clone(percentiles), stats.ColInstances, stats.ColInstanceDays)
	if byVersion {
		f.Lead = "The marks are p50 (large dot), p90 (ring), p95 (dark dot) and p99 (stroke)."
	} else {
		f.Name, about, other = "heap-platforms", stats.ColOS, stats.ColVersion
		columns = []stats.Column{stats.ColP50, stats.ColP95, counted}
	}
	t = t.Filter(func(r stats.Row) bool { return r.Known(stats.ColP50) && !r.Known(other) })
	if len(t.Rows) == 0 {
		return nil
	}
	t = allFirst(t.MostFirst(counted), about)
	t.Title = title
	low, high := math.Inf(1), 0.0
	for r := range t.All() {
		low = min(low, r.Float(stats.ColP50))
		for _, p := range percentiles {
			high = max(high, r.Float(p))
		}
	}
	f.ChartTable = newColumnsView(t, append([]stats.Column{about}, columns...)...)
	var drawings []template.HTML
	for r := range t.All() {
		name := &f.ChartTable.Rows[len(drawings)][0].Text
		switch {
		case !r.Known(about):
			*name = "all"
		case !byVersion:
			*name = platformName(r)
		}
		if drawings = append(drawings, chart.DotPlot(percentilePositions(r, low, high))); len(drawings) == maxRows {
			break
		}
	}
	if !byVersion {
		f.ChartTable.Head[0].Text = "Platform"
	}
	scale := ""
	if low < high {
		scale = formatBytes(low) + "\u2013" + formatBytes(high)
	}
	f.ChartTable.addCharts(1, scale, drawings).wideOnly(stats.ColP90, stats.ColP99, stats.ColInstances, stats.ColInstanceDays)
	return f
}

// allFirst returns a table with the row of all instances, which has no value in a column,
// before the others.
func allFirst(t *stats.Table, c stats.Column) *stats.Table {
	first := t.Filter(func(r stats.Row) bool { return !r.Known(c) })
	first.Rows = append(first.Rows, t.Filter(func(r stats.Row) bool { return r.Known(c) }).Rows...)
	return first
}

// percentilePositions returns the positions of the known percentiles on a logarithmic
// scale, from 0 to 1.
func percentilePositions(r stats.Row, low, high float64) (at []float64) {
	const edge = 0.02 // room for the dots at the ends
	for _, p := range percentiles {
		if r.Known(p) {
			x := 0.5
			if high > low && low > 0 {
				x = math.Log(r.Float(p)/low) / math.Log(high/low)
			}
			at = append(at, edge+(1-2*edge)*x)
		}
	}
	return at
}

// heapChange compares the heap sizes of two versions.
func (b *builder) heapChange() *figure {
	f, t := b.emptyFigure("heap_change", "Comparison of two versions")
	if f == nil {
		return nil
	}
	f.Table = newColumnsView(t, stats.ColPercentile, stats.ColOldBytes, stats.ColNewBytes, stats.ColChange).wideOnly(stats.ColOldBytes).whole()
	f.Table.Head = append(f.Table.Head, columnHead{"Between", "n x"}, columnHead{"Certain?", ""})
	var before, after string
	i := 0
	for r := range t.All() {
		before, after = r.Text(stats.ColOld), r.Text(stats.ColNew)
		f.Lead = show(r, stats.ColOldInstances) + " of " + before + " and " + show(r, stats.ColNewInstances) + " of " + after + " report their heap."
		certain := "too few"
		if r.Known(stats.ColCertain) {
			certain = show(r, stats.ColCertain)
		}
		between := unknown
		if r.Known(stats.ColLow) {
			between = strings.TrimSuffix(show(r, stats.ColLow), nbsp+"%") + " to " + show(r, stats.ColHigh)
		}
		f.Table.Rows[i] = append(f.Table.Rows[i], tableCell{Text: between, Class: "n x"}, tableCell{Text: certain})
		i++
	}
	f.Answer = b.Query.Answer(t, formatValue)
	f.Title, f.Table.Head[1].Text, f.Table.Head[2].Text = "From "+before+" to "+after, before, after
	if typed, ok := b.invalid["compare"]; ok {
		before, after, _ = strings.Cut(typed.value, "..")
	}
	f.Form = &queryForm{Error: b.invalid.formError(f.Name, "compare"), Anchor: f.Name, Hidden: b.hiddenFields("compare"), Button: "Compare", Fields: []formField{
		{"Compare", "old", before, "known-versions"}, {"with", "new", after, "known-versions"}}}
	return f
}

// heapAbove shows the share of instances above each heap size.
func (b *builder) heapAbove() *figure {
	title, count, share, name := "Instances above a heap size", stats.ColInstances, stats.ColShare, "instances"
	if b.Remembers() { // the heaps of installations are known by day only
		title, count, share, name = "Days above a heap size", stats.ColInstanceDays, stats.ColDayShare, "days"
	}
	f, t := b.emptyFigure("heap_above", title)
	if f == nil {
		return nil
	}
	t = t.Select(stats.ColBytes, count, share)
	f.Table = newTableView(t)
	columns := chart.ColumnChart{Frame: chart.Frame{Label: "Share of " + name + " by the heap size that they exceeded", Height: 160}}
	size, limit := b.invalid.value("above", "512 MiB"), -1.0
	if b.Query.Above > 0 {
		size, limit = formatBytes(float64(b.Query.Above)), float64(rollup.NearestLimit(b.Query.Above))
		f.Answer = b.Query.Answer(t, formatValue)
	}
	every := max(1, (len(t.Rows)+4)/5)
	for r := range t.All() {
		class := "ca"
		if r.Float(stats.ColBytes) == limit {
			class = "chosen"
		}
		if i := len(columns.Columns); i%every == every/2 {
			columns.X = append(columns.X, columnTick(i, len(t.Rows), show(r, stats.ColBytes)))
		}
		columns.Columns = append(columns.Columns, chart.Column{Value: r.Float(share), Class: class,
			Title: "more than " + show(r, stats.ColBytes) + "\n" + plural(r.Number(count), strings.TrimSuffix(name, "s"), name) + " (" + show(r, share) + ")"})
	}
	f.Chart, f.Lead = drawColumns(columns, shareAxis), "The share of instances that ever used more than each size."
	if b.Remembers() {
		f.Lead = "The share of the days of installations and instances with more than each size."
	}
	f.Form = &queryForm{Error: b.invalid.formError(f.Name, "above"), Anchor: f.Name, Hidden: b.hiddenFields("above"), Button: "Show", Fields: []formField{{Label: "More heap than", Name: "above", Value: size}}}
	return f
}
