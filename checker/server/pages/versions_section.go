package pages

import (
	"html/template"
	"slices"
	"strconv"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

func shareBars(t *stats.Table, class func(stats.Row) string) []template.HTML {
	return bars(t, func(r stats.Row) float64 { return r.Float(stats.ColShare) }, class)
}

// bars returns a bar for a value of each row, relative to the largest one.
func bars(t *stats.Table, value func(stats.Row) float64, class func(stats.Row) string) (all []template.HTML) {
	most := 1e-9
	for r := range t.All() {
		most = max(most, value(r))
	}
	for r := range t.All() {
		if len(all) == maxRows {
			break
		}
		all = append(all, chart.Bar(value(r)/most, class(r)))
	}
	return all
}

func firstColor(stats.Row) string { return "c0" }

func (b *builder) versionsSection() section {
	p := section{ID: "in-use", Title: "Versions", Lead: []string{"All versions in use in this period, newest first."}}
	if f, t := b.emptyFigure("versions", "Versions in use"); f != nil {
		columns := []stats.Column{stats.ColVersion, stats.ColInstances, stats.ColShare, stats.ColReleased, stats.ColBehind, stats.ColDaysBehind, stats.ColReports, stats.ColHeapP95}
		if t.Any(stats.ColWithdrawn) {
			columns = append(columns, stats.ColWithdrawn)
		}
		f.Table = newColumnsView(t, columns...)
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

const maxBars = 400

// sampleRows returns at most about most rows, evenly spread, and all rows that keep
// selects.
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
	all = sampleRows(all, maxBars, func(r stats.Row) bool { return b.SameVersion(r.Text(stats.ColBelow), chosen) })
	columns := chart.ColumnChart{Frame: chart.Frame{Label: "Share of instances that run an older version, by version", Height: chartHeight}}
	for i, r := range all {
		class := "c0"
		if b.SameVersion(r.Text(stats.ColBelow), chosen) {
			class = "c1"
		}
		columns.Columns = append(columns.Columns, chart.Column{Value: r.Float(stats.ColShare), Class: class, Title: "below " + r.Text(stats.ColBelow) + "\n" + countAndShare(r.Number(stats.ColInstances), r.Float(stats.ColShare))})
		if every := (len(all) + 3) / 4; i%every == every/2 {
			columns.X = append(columns.X, columnTick(i, len(all), r.Text(stats.ColBelow)))
		}
	}
	f.Chart = drawColumns(columns, shareAxis)
	q := b.Query
	q.Below = chosen
	p.Answer = q.Answer(t, formatValue)
	p.Form = &queryForm{Anchor: p.ID, Hidden: b.hiddenFields("below"), Button: "Show", Fields: []formField{{"Support ends below", "below", b.invalid.value("below", chosen), "versions"}}, Error: b.invalid.formError(p.ID, "below")}
	p.addFigures(f)
	return p
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
	counts := make([]int64, len(bars))
	for r := range t.All() {
		i := int(min(r.Number(stats.ColReleases), maxReleasesBehind))
		if !r.Known(stats.ColReleases) {
			i = last + 1
		}
		counts[i] += r.Number(stats.ColInstances)
		bars[i].Value += r.Float(stats.ColShare)
	}
	if counts[last+1] == 0 {
		bars = bars[:last+1]
	}
	columns := chart.ColumnChart{Frame: chart.Frame{Label: "Share of instances by releases behind", Height: 180}, Columns: bars}
	for i := range bars {
		name, class := strconv.Itoa(i), "c0"
		title := name + " behind"
		switch {
		case i > last:
			name, class, title = "?", "cx", "unknown how far behind"
		case i == maxReleasesBehind:
			name += " or more"
			title = name + " behind"
		}
		bars[i].Class, bars[i].Title = class, title+"\n"+countAndShare(counts[i], bars[i].Value)
		if every := max(1, len(bars)/8); i%every == 0 && i+every/2 <= last || i > last {
			columns.X = append(columns.X, columnTick(i, len(bars), name))
		}
	}
	f.Chart = drawColumns(columns, shareAxis)
	return f
}

func (b *builder) behindDays() *figure {
	f, t := b.tableFigure("behind_days", "Days behind")
	if f == nil {
		return nil
	}
	columns := chart.ColumnChart{Frame: chart.Frame{Label: "Share of instances by days behind", Height: 180}}
	for r := range t.All() {
		name, class, full := daysBehindName(r)
		tick := columnTick(len(columns.Columns), len(t.Rows), name)
		tick.SecondLine = len(columns.Columns)%2 == 1
		columns.X = append(columns.X, tick)
		columns.Columns = append(columns.Columns, chart.Column{Value: r.Float(stats.ColShare), Class: class, Title: full + "\n" + countAndShare(r.Number(stats.ColInstances), r.Float(stats.ColShare))})
	}
	f.Chart = drawColumns(columns, shareAxis)
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
