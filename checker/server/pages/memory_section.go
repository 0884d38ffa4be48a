package pages

import (
	"html/template"
	"math"
	"slices"
	"strings"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

// percentiles are the columns of heaps, from the lowest up.
var percentiles = []string{"p50", "p90", "p95", "p99"}

// memory is how much heap ids take.
func (b *builder) memory() part {
	p := part{ID: "memory", Title: "Memory", Lead: []string{"How much heap the instances use. Each counts once for every day on which it reported a heap, with the highest heap of that day. A percentile such as p95 is what 95 % of these do not exceed."}}
	p.add(b.histogram(), b.heaps("Heap by version", true), b.heaps("Heap by platform", false), b.heapChange(&p), b.heapAbove())
	return p
}

// histogram shows how heaps are distributed, on a scale of ratios.
func (b *builder) histogram() *figure {
	f, t := b.figure("heap_histogram", "Instances by heap")
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
			if at, ok := place(all, r.float(p)); ok && r.has(p) {
				columns.Rules = append(columns.Rules, chart.Tick{At: at, Text: p + " " + r.show(p)})
			}
		}
	}
	f.Chart = columns.SVG()
	return f
}

// place is where on the histogram's axis a heap is, from 0 to 1.
func place(bins []row, bytes float64) (at float64, ok bool) {
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

// heaps shows the percentiles of each version, or of each platform.
func (b *builder) heaps(title string, byVersion bool) *figure {
	f, t := b.frame("heap", title)
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
		low, high = math.Min(low, r.float("p50")), math.Max(high, highest(r))
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
		drawings = append(drawings, chart.DotPlot(spread(r, low, high)))
	}
	f.Grid = gridOf(&only, append(about, "p50", "p90", "p95", "p99", "ids", "instance_days")...).draw(len(about), heapRange(t, low, high), drawings)
	for i, line := range f.Grid.Rows {
		if line[0].Text == unknown {
			f.Grid.Rows[i][0].Text, f.Grid.Rows[i][len(about)-1].Text = "all", "all"
		}
	}
	return f
}

// heapRange is the head of the column that shows where percentiles lie.
func heapRange(t *stats.Table, low, high float64) string {
	last := percentiles[0]
	for _, c := range t.Columns {
		if slices.Contains(percentiles, c.Name) {
			last = c.Name
		}
	}
	return percentiles[0] + " to " + last + ", from " + showBytes(low) + " to " + showBytes(high)
}

// highest is the last percentile that is known.
func highest(r row) (n float64) {
	for _, p := range percentiles {
		n = math.Max(n, r.float(p))
	}
	return n
}

// spread is where the percentiles lie on a scale of ratios.
func spread(r row, low, high float64) (at []float64) {
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

// heapChange compares the heaps of two versions, and asks for which.
func (b *builder) heapChange(p *part) *figure {
	f, t := b.frame("heap_change", "Two versions compared")
	if f == nil {
		return nil
	}
	var before, after string
	for r := range rows(t) {
		before, after = r.text("old"), r.text("new")
	}
	p.Answer = answerTo(b.Query, t)
	f.Grid = gridOf(t, "percentile", "old_bytes", "new_bytes", "change", "low", "high", "certain")
	f.Title = "From " + before + " to " + after
	if typed, ok := b.invalid["compare"]; ok {
		before, after, _ = strings.Cut(typed.value, "..")
	}
	p.Ask = &ask{Wrong: b.invalid.formError(p.ID, "compare"), Anchor: p.ID, Hidden: b.hidden("compare"), Button: "Compare", Fields: []field{
		{"Compare", "old", before, "versions"}, {"with", "new", after, "versions"}}}
	return f
}

// heapAbove is how many ids exceed a heap.
func (b *builder) heapAbove() *figure {
	f, t := b.figure("heap_above", "Ids that exceeded a heap")
	if f == nil {
		return nil
	}
	f.Grid.draw(1, "", shareBars(t, first))
	f.Ask = &ask{Wrong: b.invalid.formError(f.Name, "above"), Anchor: f.Name, Hidden: b.hidden("above"), Button: "Tell me", Fields: []field{{Label: "More heap than", Name: "above"}}}
	if asked := b.Query.Above; asked > 0 {
		f.Ask.Fields[0].Value = showBytes(float64(asked))
		f.Answer = answerTo(b.Query, t)
	} else {
		f.Ask.Fields[0].Value = b.invalid.value("above", "512 MiB")
	}
	return f
}
