package pages

import (
	"cmp"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

func (b *builder) versionsSection() section {
	p := section{ID: "versions", Title: "Versions", Lead: b.Recency(formatValue)}
	p.addHalves(b.adoptionCurves(), b.endingSupport())
	p.addFigures(b.versionsTable())
	p.addHalves(b.behindReleases(), b.behindDays())
	return p
}

// adoptionCurves lays the spread of the newest releases over one another, by days since
// the release.
func (b *builder) adoptionCurves() *figure {
	f, t := b.emptyFigure("adoption_curves", "Adoption by days since the release")
	if f == nil {
		return nil
	}
	_, share, population := b.Counted()
	t = t.Filter(func(r stats.Row) bool { return r.Known(share) })
	days := 0
	for r := range t.All() {
		days = max(days, int(r.Number(stats.ColSinceRelease)))
	}
	lines := chart.LineChart{Frame: chart.Frame{Label: f.Title, Height: chartHeight}, Titles: make([]string, days+1)}
	for i := range lines.Titles {
		lines.Titles[i] = "Day " + strconv.Itoa(i)
	}
	for r := range t.All() {
		name := r.Text(stats.ColVersion)
		if n := len(lines.Series); n == 0 || lines.Series[n-1].Name != name {
			class := b.series.class(b.series.index(name))
			lines.Series = append(lines.Series, chart.Series{Name: name, Class: class, Values: slices.Repeat([]float64{math.NaN()}, days+1)})
			f.Legend = append(f.Legend, legendItem{name, class})
		}
		lines.Series[len(lines.Series)-1].Values[r.Number(stats.ColSinceRelease)] = r.Float(share)
	}
	for i, s := range lines.Series {
		lines.Series[i].Values = smooth(s.Values)
		for day, v := range lines.Series[i].Values {
			if !math.IsNaN(v) {
				lines.Titles[day] += "\n" + s.Name + ": " + formatShare(v)
			}
		}
	}
	lines.Y, lines.Max = shareAxis(1)
	for day := 0; day <= days; day += max(1, (days+5)/6) {
		lines.X = append(lines.X, columnTick(day, days+1, "day "+strconv.Itoa(day)))
	}
	f.Chart = lines.SVG()
	f.Lead = "The share of " + population + " that ran a release or a newer one. The lines are means of seven days, because single days vary; the tables have single days."
	f.ChartTable = b.speedTable()
	f.Table = newTableView(t)
	return f
}

// smooth returns the means of each known value and its known neighbors, up to three on each side.
func smooth(values []float64) []float64 {
	const reach = 3
	means := slices.Clone(values)
	for i := range values {
		sum, n := 0.0, 0.0
		for _, v := range values[max(0, i-reach):min(len(values), i+reach+1)] {
			if !math.IsNaN(v) {
				sum, n = sum+v, n+1
			}
		}
		if !math.IsNaN(values[i]) {
			means[i] = sum / n
		}
	}
	return means
}

// speedTable compares how fast the newest releases spread.
func (b *builder) speedTable() *tableView {
	t := b.Table("adoption_speed")
	_, share, _ := b.Counted()
	g := &tableView{Caption: "Adoption speed", Head: []columnHead{{"Release", ""}, {"Released", "n x"}, {"Days to half", "n"}, {"Share", "n"}}}
	for r := range t.All() {
		if !r.Known(stats.ColHalf) && !r.Known(share) {
			continue // reports do not reach back to it
		}
		half := show(r, stats.ColHalf)
		if !r.Known(stats.ColHalf) && r.Known(share) {
			half = "not yet"
			if r.Float(share) >= 0.5 { // the days before are not known
				half = unknown
			}
		}
		if r.Known(stats.ColOnDay) {
			g.Head[3].Text = "On day " + show(r, stats.ColOnDay)
		}
		g.Rows = append(g.Rows, []tableCell{{Text: r.Text(stats.ColVersion)}, {Text: show(r, stats.ColReleased), Class: "n x"}, {Text: half, Class: "n"}, {Text: show(r, share), Class: "n"}})
	}
	return g.whole()
}

// shareBars returns bars of a column of shares.
func shareBars(t *stats.Table, share stats.Column, class func(stats.Row) string) []template.HTML {
	return bars(t, func(r stats.Row) float64 { return r.Float(share) }, class)
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

func plain(stats.Row) string { return "ca" }

// versionsTable lists the versions in use, the most used first, and the builds of vendors
// and developers last.
func (b *builder) versionsTable() *figure {
	f, t := b.emptyFigure("versions", "Versions in use")
	if f == nil {
		return nil
	}
	count, share, _ := b.Counted()
	columns := []stats.Column{stats.ColVersion, count, share, stats.ColReleased, stats.ColBehind, stats.ColDaysBehind, stats.ColReports, stats.ColHeapP95}
	if t.Any(stats.ColWithdrawn) {
		columns = append(columns, stats.ColWithdrawn)
	}
	view := func(t *stats.Table) *tableView {
		return newColumnsView(t, slices.Clone(columns)...).addCharts(1, "", shareBars(t, share, func(r stats.Row) string {
			return b.series.class(b.series.index(r.Text(stats.ColVersion)))
		})).wideOnly(stats.ColReleased, stats.ColBehind, stats.ColDaysBehind, stats.ColReports, stats.ColHeapP95, stats.ColWithdrawn)
	}
	t = t.MostFirst(count)
	released := t.Filter(func(r stats.Row) bool { return b.IsRelease(r.Text(stats.ColVersion)) })
	if others := len(t.Rows) - len(released.Rows); len(released.Rows) > 0 && others > 1 {
		f.ChartTable = view(released)
		f.ChartTable.Rows = slices.Insert(f.ChartTable.Rows, min(len(f.ChartTable.Rows), firstRows-1), otherBuildsRow(t, columns, b.IsRelease))
		f.Table, f.TableTitle = view(t.Filter(func(r stats.Row) bool { return !b.IsRelease(r.Text(stats.ColVersion)) })).whole(), "Show "+plural(int64(others), "other build", "other builds")
		f.Lead = "The most used first. Builds of vendors and developers are folded into other builds."
		return f
	}
	f.ChartTable, f.Lead = view(t), "The most used first."
	return f
}

// otherBuildsRow adds up the rows of versions that are no releases. The first columns are the
// version, its count and its share.
func otherBuildsRow(t *stats.Table, columns []stats.Column, released func(string) bool) (line []tableCell) {
	var reports int64
	var count, share float64
	for r := range t.All() {
		if !released(r.Text(stats.ColVersion)) {
			count, share = count+r.Count(columns[1]), share+r.Float(columns[2])
			reports += r.Number(stats.ColReports)
		}
	}
	line = append(line, tableCell{Text: otherBuilds}, tableCell{Class: "g"})
	for _, c := range columns[1:] {
		switch c {
		case columns[1]:
			line = append(line, tableCell{Text: formatCount(columns[1], count), Class: "n"})
		case columns[2]:
			line = append(line, tableCell{Text: formatShare(share), Class: "n"})
		case stats.ColReports:
			line = append(line, tableCell{Text: formatNumber(reports), Class: "n x"})
		default:
			line = append(line, tableCell{Text: "", Class: "x"})
		}
	}
	return line
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

// endingSupport shows how many instances would be affected by ending support.
func (b *builder) endingSupport() *figure {
	f, t := b.tableFigure("deprecation", "What can be dropped")
	if f == nil {
		return nil
	}
	chosen := b.Query.Below
	if below, sentences := b.Droppable(formatValue); b.Query.Version == "" {
		f.Answer.Text, chosen = strings.Join(sentences, " "), cmp.Or(chosen, below)
	}
	if b.Query.Below != "" {
		f.Answer = b.Query.Answer(t, formatValue)
	} else if chosen == "" {
		chosen = b.Latest
	}
	all := slices.Collect(t.All())
	slices.Reverse(all) // oldest first
	all = sampleRows(all, maxBars, func(r stats.Row) bool { return b.SameVersion(r.Text(stats.ColBelow), chosen) })
	count, share, name := b.Counted()
	columns := chart.ColumnChart{Frame: chart.Frame{Label: "Share of " + name + " that run an older version, by version", Height: chartHeight}}
	for i, r := range all {
		class := "ca"
		switch {
		case b.Query.Below != "" && b.SameVersion(r.Text(stats.ColBelow), chosen):
			class = "chosen"
		case r.Float(share) >= stats.MayDrop:
			class = "cm"
		}
		columns.Columns = append(columns.Columns, chart.Column{Value: r.Float(share), Class: class, Title: "below " + r.Text(stats.ColBelow) + "\n" + b.countAndShare(r.Count(count), r.Float(share))})
		if every := (len(all) + 3) / 4; i%every == every/2 {
			columns.X = append(columns.X, columnTick(i, len(all), r.Text(stats.ColBelow)))
		}
	}
	f.Chart, f.Lead = drawColumns(columns, shareAxis), "The share of "+name+" that run a version older than each. Blue columns are below 5"+nbsp+"%."
	f.Form = &queryForm{Anchor: f.Name, Hidden: b.hiddenFields("below"), Button: "Show", Fields: []formField{{"Support ends below", "below", b.invalid.value("below", chosen), "known-versions"}}, Error: b.invalid.formError(f.Name, "below")}
	return f
}

// maxReleasesBehind is the first number of releases behind that shares a column with all higher numbers.
const maxReleasesBehind = 40

func (b *builder) behindReleases() *figure {
	f, t := b.tableFigure("behind", "Releases behind the latest")
	if f == nil {
		return nil
	}
	count, share, name := b.Counted()
	last := 0
	for r := range t.All() {
		last = max(last, int(min(r.Number(stats.ColReleases), maxReleasesBehind)))
	}
	bars := make([]chart.Column, last+2) // the last one is for unknown
	counts := make([]float64, len(bars))
	for r := range t.All() {
		i := int(min(r.Number(stats.ColReleases), maxReleasesBehind))
		if !r.Known(stats.ColReleases) {
			i = last + 1
		}
		counts[i] += r.Count(count)
		bars[i].Value += r.Float(share)
	}
	if counts[last+1] == 0 {
		bars = bars[:last+1]
	}
	columns := chart.ColumnChart{Frame: chart.Frame{Label: "Share of " + name + " by releases behind", Height: 120}, Columns: bars}
	for i := range bars {
		name, class := strconv.Itoa(i), "ca"
		title := name + " behind"
		switch {
		case i > last:
			name, class, title = "?", "cx", "unknown how far behind"
		case i == maxReleasesBehind:
			name += " or more"
			title = name + " behind"
		}
		bars[i].Class, bars[i].Title = class, title+"\n"+b.countAndShare(counts[i], bars[i].Value)
		if every := max(1, len(bars)/8); i%every == 0 && i+every/2 <= last || i > last {
			columns.X = append(columns.X, columnTick(i, len(bars), name))
		}
	}
	f.Chart = drawColumns(columns, shareAxis)
	return f
}

func (b *builder) behindDays() *figure {
	f, t := b.tableFigure("behind_days", "Days behind the latest")
	if f == nil {
		return nil
	}
	count, share, name := b.Counted()
	columns := chart.ColumnChart{Frame: chart.Frame{Label: "Share of " + name + " by days behind", Height: 120}}
	for r := range t.All() {
		name, class, full := daysBehindName(r)
		tick := columnTick(len(columns.Columns), len(t.Rows), name)
		tick.SecondLine = len(columns.Columns)%2 == 1
		columns.X = append(columns.X, tick)
		columns.Columns = append(columns.Columns, chart.Column{Value: r.Float(share), Class: class, Title: full + "\n" + b.countAndShare(r.Count(count), r.Float(share))})
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
		return from + "+", "ca", from + " days behind or more"
	case from == to:
		return from, "ca", plural(r.Number(stats.ColFromDays), "day behind", "days behind")
	}
	return from + "–" + to, "ca", from + " to " + to + " days behind"
}
