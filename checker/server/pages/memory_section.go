package pages

import (
	"html/template"
	"math"
	"strings"

	"relcheck/checker/server/chart"
)

// percentiles are the columns with percentiles of heap sizes, in ascending order.
var percentiles = []string{"p50", "p90", "p95", "p99"}

// memorySection shows heap sizes.
func (b *builder) memorySection() section {
	p := section{ID: "memory", Title: "Memory", Lead: []string{"Heap use of the instances that report it. 95\u00a0% of them use no more than the value p95."}}
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
	most, all, n := 0.0, []row{}, len(t.Rows)
	for r := range rows(t) {
		all = append(all, r)
		most = max(most, r.float("share"))
		columns.Columns = append(columns.Columns, chart.Column{Value: r.float("share"), Class: "c0",
			Title: r.show("from") + " to " + r.show("to") + "\n" + plural(r.number("instance_days"), "instance-day", "instance-days") + " (" + r.show("share") + ")"})
	}
	for i, every := 0, max(1, (n+4)/5); i <= n; i += every {
		edge := "to"
		if i < n {
			edge = "from"
		}
		columns.X = append(columns.X, chart.Tick{At: float64(i) / float64(n), Text: all[min(i, n-1)].show(edge)})
	}
	columns.Y, columns.Max = shareAxis(most)
	for r := range rows(b.Table("heap")) {
		if r.has("version") || r.has("os") {
			continue
		}
		for _, p := range percentiles {
			if at, ok := heapPosition(all, r.float(p)); ok && r.has(p) {
				columns.Rules = append(columns.Rules, chart.Tick{At: at, Text: p + " " + r.show(p)})
			}
		}
	}
	f.Chart = columns.SVG()
	return f
}

// heapPosition returns the position of a heap size on the axis of the histogram, from 0 to
// 1, and whether it is within its bins.
func heapPosition(bins []row, bytes float64) (at float64, ok bool) {
	for i, r := range bins {
		from, to := r.float("from"), r.float("to")
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
	only := *t
	only.Rows, only.Title = nil, title
	low, high := math.Inf(1), 0.0
	for r := range rows(t) {
		if !r.has("p50") || r.has("version") && r.has("os") || r.has("version") != byVersion && (r.has("version") || r.has("os")) {
			continue
		}
		only.Rows = append(only.Rows, r.values)
		low, high = math.Min(low, r.float("p50")), math.Max(high, highestPercentile(r))
	}
	if len(only.Rows) == 0 {
		return nil
	}
	about := []string{"version"}
	if !byVersion {
		f.Name, about = "heap-platforms", []string{"os", "arch"}
	}
	var drawings []template.HTML
	for r := range rows(&only) {
		drawings = append(drawings, chart.DotPlot(percentilePositions(r, low, high)))
	}
	f.Table = newColumnsView(&only, append(about, "p50", "p90", "p95", "p99", "instances", "instance_days")...).addCharts(len(about), formatBytes(low)+"\u2013"+formatBytes(high), drawings)
	for i, line := range f.Table.Rows {
		if line[0].Text == unknown {
			f.Table.Rows[i][0].Text, f.Table.Rows[i][len(about)-1].Text = "all", "all"
		}
	}
	return f
}

// highestPercentile returns the highest known percentile.
func highestPercentile(r row) (n float64) {
	for _, p := range percentiles {
		n = math.Max(n, r.float(p))
	}
	return n
}

// percentilePositions returns the positions of the known percentiles on a logarithmic
// scale, from 0 to 1.
func percentilePositions(r row, low, high float64) (at []float64) {
	const edge = 0.02 // room for the dots at the ends
	for _, p := range percentiles {
		if r.has(p) {
			x := 0.5
			if high > low && low > 0 {
				x = math.Log(r.float(p)/low) / math.Log(high/low)
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
	for r := range rows(t) {
		before, after = r.text("old"), r.text("new")
	}
	p.Answer = answerSentence(b.Query, t)
	f.Table = newColumnsView(t, "percentile", "old_instances", "new_instances", "old_bytes", "new_bytes", "change")
	f.Title = "From " + before + " to " + after
	if typed, ok := b.invalid["compare"]; ok {
		before, after, _ = strings.Cut(typed.value, "..")
	}
	p.Form = &queryForm{Error: b.invalid.formError(p.ID, "compare"), Anchor: p.ID, Hidden: b.hiddenFields("compare"), Button: "Compare", Fields: []formField{
		{"Compare", "old", before, "versions"}, {"with", "new", after, "versions"}}}
	return f
}

// heapAbove shows how many instances exceed heap sizes.
func (b *builder) heapAbove() *figure {
	f, t := b.tableFigure("heap_above", "Instances above a heap size")
	if f == nil {
		return nil
	}
	f.Table.addCharts(1, "", shareBars(t, firstColor))
	f.Form = &queryForm{Error: b.invalid.formError(f.Name, "above"), Anchor: f.Name, Hidden: b.hiddenFields("above"), Button: "Show", Fields: []formField{{Label: "More heap than", Name: "above"}}}
	if asked := b.Query.Above; asked > 0 {
		f.Form.Fields[0].Value = formatBytes(float64(asked))
		f.Answer = answerSentence(b.Query, t)
	} else {
		f.Form.Fields[0].Value = b.invalid.value("above", "512 MiB")
	}
	return f
}
