package pages

import (
	"html/template"
	"math"
	"slices"
	"strings"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

// percentiles are the columns with percentiles of heap sizes, in ascending order.
var percentiles = []stats.Column{stats.ColP50, stats.ColP90, stats.ColP95, stats.ColP99}

func (b *builder) memorySection() section {
	p := section{ID: "memory", Title: "Memory", Lead: []string{"Heap usage of the instances that report it. 95\u00a0% of them use no more than the value p95."}}
	p.addFigures(b.heapHistogram(), b.heapTable("Heap by version", true), b.heapTable("Heap by platform", false), b.heapChange(&p), b.heapAbove())
	return p
}

// heapHistogram shows the distribution of heap sizes on a logarithmic scale.
func (b *builder) heapHistogram() *figure {
	f, t := b.tableFigure("heap_histogram", "Instances by heap")
	if f == nil {
		return nil
	}
	columns := chart.ColumnChart{Frame: chart.Frame{Label: "Share of instances by heap", Height: chartHeight}}
	all, n := slices.Collect(t.All()), len(t.Rows)
	for _, r := range all {
		columns.Columns = append(columns.Columns, chart.Column{Value: r.Float(stats.ColShare), Class: "c0",
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
		for _, p := range percentiles {
			if at, ok := heapPosition(all, r.Float(p)); ok && r.Known(p) {
				columns.Rules = append(columns.Rules, chart.Tick{At: at, Text: p.Name + " " + show(r, p)})
			}
		}
	}
	f.Chart = drawColumns(columns, shareAxis)
	return f
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

// heapTable shows the percentiles of heap sizes by version or by platform.
func (b *builder) heapTable(title string, byVersion bool) *figure {
	f, t := b.emptyFigure("heap", title)
	if f == nil {
		return nil
	}
	about, other := []stats.Column{stats.ColVersion}, stats.ColOS
	if !byVersion {
		f.Name, about, other = "heap-platforms", []stats.Column{stats.ColOS, stats.ColArch}, stats.ColVersion
	}
	t = t.Filter(func(r stats.Row) bool { return r.Known(stats.ColP50) && !r.Known(other) })
	if len(t.Rows) == 0 {
		return nil
	}
	t.Title = title
	low, high := math.Inf(1), 0.0
	for r := range t.All() {
		low = min(low, r.Float(stats.ColP50))
		for _, p := range percentiles {
			high = max(high, r.Float(p))
		}
	}
	var drawings []template.HTML
	for r := range t.All() {
		drawings = append(drawings, chart.DotPlot(percentilePositions(r, low, high)))
	}
	f.Table = newColumnsView(t, append(append(about, percentiles...), stats.ColInstances, stats.ColInstanceDays)...).addCharts(len(about), formatBytes(low)+"\u2013"+formatBytes(high), drawings)
	for i, line := range f.Table.Rows {
		if line[0].Text == unknown {
			f.Table.Rows[i][0].Text, f.Table.Rows[i][len(about)-1].Text = "all", "all"
		}
	}
	return f
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

// heapChange compares the heap sizes of two versions. The form that chooses them is part
// of the section.
func (b *builder) heapChange(p *section) *figure {
	f, t := b.emptyFigure("heap_change", "Comparison of two versions")
	if f == nil {
		return nil
	}
	var before, after string
	for r := range t.All() {
		before, after = r.Text(stats.ColOld), r.Text(stats.ColNew)
	}
	p.Answer = b.Query.Answer(t, formatValue)
	f.Table = newColumnsView(t, stats.ColPercentile, stats.ColOldInstances, stats.ColNewInstances, stats.ColOldBytes, stats.ColNewBytes, stats.ColChange)
	f.Title = "From " + before + " to " + after
	if typed, ok := b.invalid["compare"]; ok {
		before, after, _ = strings.Cut(typed.value, "..")
	}
	p.Form = &queryForm{Error: b.invalid.formError(p.ID, "compare"), Anchor: p.ID, Hidden: b.hiddenFields("compare"), Button: "Compare", Fields: []formField{
		{"Compare", "old", before, "versions"}, {"with", "new", after, "versions"}}}
	return f
}

func (b *builder) heapAbove() *figure {
	f, t := b.tableFigure("heap_above", "Instances above a heap size")
	if f == nil {
		return nil
	}
	f.Table.addCharts(1, "", shareBars(t, firstColor))
	size := b.invalid.value("above", "512 MiB")
	if b.Query.Above > 0 {
		size = formatBytes(float64(b.Query.Above))
		f.Answer = b.Query.Answer(t, formatValue)
	}
	f.Form = &queryForm{Error: b.invalid.formError(f.Name, "above"), Anchor: f.Name, Hidden: b.hiddenFields("above"), Button: "Show", Fields: []formField{{Label: "More heap than", Name: "above", Value: size}}}
	return f
}
