package pages

import (
	"html/template"
	"slices"
	"strconv"

	"relcheck/checker"
	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

// shareBars returns a bar for the share of each row, relative to the largest one.
func shareBars(t *stats.Table, class func(stats.Row) string) (bars []template.HTML) {
	most := 0.0
	for r := range t.All() {
		most = max(most, r.Float(stats.ColShare))
	}
	for r := range t.All() {
		if len(bars) == maxRows {
			break
		}
		bars = append(bars, chart.Bar(r.Float(stats.ColShare)/max(most, 1e-9), class(r)))
	}
	return bars
}

func firstColor(stats.Row) string { return "c0" }

// versionsSection shows the versions in use and their minor lines.
func (b *builder) versionsSection() section {
	p := section{ID: "in-use", Title: "Versions", Lead: []string{"All versions in use in this period, newest first."}}
	if f, t := b.emptyFigure("versions", "Versions in use"); f != nil {
		f.Table = newColumnsView(t, stats.ColVersion, stats.ColInstances, stats.ColShare, stats.ColReleased, stats.ColBehind, stats.ColDaysBehind, stats.ColReports, stats.ColHeapP95)
		f.Table.addCharts(1, "", shareBars(t, func(r stats.Row) string { return b.color(r.Text(stats.ColVersion)) }))
		p.addFigures(f)
	}
	if f, t := b.emptyFigure("lines", "Minor lines"); f != nil {
		f.Table = newColumnsView(t, stats.ColLine, stats.ColInstances, stats.ColShare).addCharts(1, "", shareBars(t, func(r stats.Row) string {
			if r.Yes(stats.ColLatest) {
				return "c0"
			}
			return "cm"
		}))
		p.addFigures(f)
	}
	return p
}

// maxBars is the maximum number of columns of the chart about ending support.
const maxBars = 400

// sampleRows returns about most of the rows, evenly spread, and all for which keep returns
// true.
func sampleRows(all []stats.Row, most int, keep func(stats.Row) bool) []stats.Row {
	if len(all) <= most {
		return all
	}
	var some []stats.Row
	for i, r := range all {
		if i*most/len(all) != (i-1)*most/len(all) || i == 0 || i == len(all)-1 || keep(r) {
			some = append(some, r)
		}
	}
	return some
}

// supportSection shows how many instances would be affected by ending support.
func (b *builder) supportSection() section {
	p := section{ID: "support", Title: "Ending support", Lead: []string{"How many instances run a version older than the one you choose?"}}
	f, t := b.tableFigure("deprecation", "Instances that run an older version")
	if f == nil {
		return p
	}
	chosen := b.Query.Below
	if chosen == "" {
		chosen = b.Latest
	}
	all := slices.Collect(t.All())
	slices.Reverse(all) // oldest first
	key := checker.Canonical(chosen)
	all = sampleRows(all, maxBars, func(r stats.Row) bool { return key != "" && checker.Canonical(r.Text(stats.ColBelow)) == key })
	most := 0.0
	for _, r := range all {
		most = max(most, r.Float(stats.ColShare))
	}
	columns := chart.ColumnChart{Frame: chart.Frame{Label: "Share of instances that run an older version, by version", Height: chartHeight}}
	columns.Y, columns.Max = shareAxis(most)
	for i, r := range all {
		class := "c0"
		if sameVersion(r.Text(stats.ColBelow), chosen) {
			class = "c1"
		}
		columns.Columns = append(columns.Columns, chart.Column{Value: r.Float(stats.ColShare), Class: class, Title: "below " + r.Text(stats.ColBelow) + "\n" + countAndShare(r.Number(stats.ColInstances), r.Float(stats.ColShare))})
		if every := (len(all) + 3) / 4; i%every == every/2 {
			columns.X = append(columns.X, chart.Tick{At: (float64(i) + 0.5) / float64(len(all)), Text: r.Text(stats.ColBelow)})
		}
	}
	f.Chart = columns.SVG()
	q := b.Query
	q.Below = chosen
	p.Answer = answerSentence(q, t)
	p.Form = &queryForm{Anchor: p.ID, Hidden: b.hiddenFields("below"), Button: "Show", Fields: []formField{{"Support ends below", "below", b.invalid.value("below", chosen), "versions"}}, Error: b.invalid.formError(p.ID, "below")}
	p.addFigures(f)
	return p
}

func sameVersion(a, b string) bool {
	return a == b || checker.Canonical(a) != "" && checker.Canonical(a) == checker.Canonical(b)
}

// maxReleasesBehind is the first number of releases behind that shares a column with all higher numbers.
const maxReleasesBehind = 40

// behindSection shows how far instances are behind the latest release.
func (b *builder) behindSection() section {
	p := section{ID: "distance", Title: "How out of date", Lead: []string{"How far instances are behind the latest release, in stable releases and in days."}}
	p.addFigures(b.behindReleases(), b.behindDays())
	return p
}

func (b *builder) behindReleases() *figure {
	f, t := b.tableFigure("behind", "Releases behind")
	if f == nil {
		return nil
	}
	last := 0
	for r := range t.All() {
		last = max(last, int(min(r.Number(stats.ColReleases), maxReleasesBehind)))
	}
	bars := make([]chart.Column, last+2) // the last one is for unknown
	counts, shares := make([]int64, len(bars)), make([]float64, len(bars))
	most := 0.0
	for r := range t.All() {
		i := int(min(r.Number(stats.ColReleases), maxReleasesBehind))
		if !r.Known(stats.ColReleases) {
			i = last + 1
		}
		counts[i] += r.Number(stats.ColInstances)
		shares[i] += r.Float(stats.ColShare)
		most = max(most, shares[i])
	}
	if counts[last+1] == 0 {
		bars = bars[:last+1]
	}
	columns := chart.ColumnChart{Frame: chart.Frame{Label: "Share of instances by releases behind", Height: 180}, Columns: bars}
	columns.Y, columns.Max = shareAxis(most)
	for i := range bars {
		name, class := strconv.Itoa(i), "c0"
		switch {
		case i > last:
			name, class = "unknown", "cx"
		case i == maxReleasesBehind:
			name += " or more"
		}
		bars[i] = chart.Column{Value: shares[i], Class: class, Title: name + " behind\n" + countAndShare(counts[i], shares[i])}
		if i > last {
			bars[i].Title = "unknown how far behind\n" + countAndShare(counts[i], shares[i])
			name = "?"
		}
		if every := max(1, len(bars)/8); i%every == 0 && i+every/2 <= last || i > last {
			columns.X = append(columns.X, chart.Tick{At: (float64(i) + 0.5) / float64(len(bars)), Text: name})
		}
	}
	f.Chart = columns.SVG()
	return f
}

func (b *builder) behindDays() *figure {
	f, t := b.tableFigure("behind_days", "Days behind")
	if f == nil {
		return nil
	}
	columns := chart.ColumnChart{Frame: chart.Frame{Label: "Share of instances by days behind", Height: 180}}
	most, n := 0.0, float64(len(t.Rows))
	for r := range t.All() {
		name, class, full := daysBehindName(r)
		most = max(most, r.Float(stats.ColShare))
		columns.X = append(columns.X, chart.Tick{At: (float64(len(columns.Columns)) + 0.5) / n, Text: name, SecondLine: len(columns.Columns)%2 == 1})
		columns.Columns = append(columns.Columns, chart.Column{Value: r.Float(stats.ColShare), Class: class, Title: full + "\n" + countAndShare(r.Number(stats.ColInstances), r.Float(stats.ColShare))})
	}
	columns.Y, columns.Max = shareAxis(most)
	f.Chart = columns.SVG()
	return f
}

// daysBehindName returns the short and full names of a range of days, and its color.
func daysBehindName(r stats.Row) (short, class, full string) {
	from, to := show(r, stats.ColFromDays), show(r, stats.ColToDays)
	switch {
	case !r.Known(stats.ColFromDays):
		return "?", "cx", "unknown how many days behind"
	case !r.Known(stats.ColToDays):
		return from + "+", "c0", from + " days behind or more"
	case from == to:
		return from, "c0", plural(r.Number(stats.ColFromDays), "day behind", "days behind")
	}
	return from + "–" + to, "c0", from + " to " + to + " days behind"
}
