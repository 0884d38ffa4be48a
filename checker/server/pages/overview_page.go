package pages

import (
	"html/template"
	"slices"

	"relcheck/checker/catalog"
	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// OverviewData is the data of the page that lists all products.
type OverviewData struct {
	Products []ProductSummary // on the current page of the list
	Search   Search
	Pager    Pager
	Total    int             // number of products without a search
	First    catalog.Product // the first product, which the next steps are shown for
	Base     string          // URL of the service
}

// ProductSummary describes a product on the overview.
type ProductSummary struct {
	Name, Title, Latest string
	Tiles               []tile
	Spark               template.HTML
	SparkNote           string
	Visitor             bool               // sees public figures only
	Synced              *catalog.Freshness // of the upstream with the oldest sync, or nil
}

type overviewPage struct {
	OverviewData
	Empty bool // no product has any reports
	About []string
}

// Overview renders the page that lists all products.
func Overview(v Visitor, d OverviewData) ([]byte, error) {
	d.Search.Label = "Name contains"
	page := overviewPage{OverviewData: d, Empty: d.Search.Value == "" && d.Pager.Pages() <= 1 && v.Reader}
	for _, p := range d.Products {
		page.Empty = page.Empty && len(p.Tiles) == 0
	}
	if !page.Empty && v.Reader {
		page.About = aboutInstances
	}
	return render("overview", v, "relcheck", page)
}

// NewProductSummary returns the summary of a product from its statistics of the last 28
// days.
func NewProductSummary(v *stats.View) ProductSummary {
	o := ProductSummary{Name: v.Product.Name, Title: v.Product.Title, Latest: latestNote(v)}
	if v.Known.Days() == 0 {
		return o
	}
	b := newBuilder(v, "", nil)
	o.Tiles = b.summaryTiles()
	if recency := v.Recency(formatValue); v.Latest != "" && len(recency) > 0 {
		o.Latest = recency[0]
	}
	o.Spark, o.SparkNote = b.sparkline()
	return o
}

// latestNote describes which release of a product is the latest.
func latestNote(v *stats.View) string {
	switch {
	case v.Latest != "":
		return v.Latest + " is the latest release."
	case v.Preview != "":
		return "Only pre-releases, such as " + v.Preview + "."
	case v.Unreleased:
		return "No releases yet."
	}
	return "No release is offered."
}

type tile struct{ Name, Value, Change string }

// summaryTiles returns the numbers of the summary of 28 days.
func (b *builder) summaryTiles() (all []tile) {
	if n := b.checks(); !b.reported() && n > 0 {
		return []tile{{"Checks", formatNumber(n), "in " + plural(int64(b.Query.Range.Days()), "day", "days")}}
	}
	if b.Remembers() {
		return b.installationTiles()
	}
	for r := range b.Table("summary").All() {
		switch name := r.Text(stats.ColPeriod); name {
		case stats.WholeRange:
		case stats.LastDay:
			all = append(all, tile{"Instances today so far", show(r, stats.ColInstances), show(r, stats.ColBefore) + " the day before"})
		default:
			all = append(all, tile{"Instances in " + name, show(r, stats.ColInstances), change(r)})
		}
	}
	return all
}

// installationTiles returns the numbers of installations.
func (b *builder) installationTiles() (all []tile) {
	for r := range b.Table("installations").All() {
		if r.Known(stats.ColInstallations) {
			name := "Installations in the " + r.Text(stats.ColPeriod) + " to " + show(r, stats.ColTo)
			switch r.Text(stats.ColPeriod) {
			case stats.TodaySoFar:
				name = "Installations " + stats.TodaySoFar
			case stats.FinishedDay:
				name = "Installations on " + show(r, stats.ColTo)
			}
			all = append(all, tile{name, show(r, stats.ColInstallations), change(r)})
		}
	}
	return all
}

// change compares a row of the summary with the days before.
func change(r stats.Row) string {
	if !r.Known(stats.ColChange) {
		return ""
	}
	return show(r, stats.ColChange) + " from " + show(r, stats.ColBefore)
}

// sparkline draws the numbers of installations, instances, or checks, by day. It also returns
// a description.
func (b *builder) sparkline() (template.HTML, string) {
	table, counted, name := "daily", []stats.Column{stats.ColInstances}, "Instances"
	switch {
	case b.Remembers():
		table, counted, name = "installations_daily", []stats.Column{stats.ColReturning, stats.ColNewInstallations}, "Installations"
	case !b.reported() && b.checks() > 0:
		counted, name = []stats.Column{stats.ColChecks}, "Checks"
	}
	t := b.finishedDays(b.Table(table))
	var values []float64
	var first rollup.Day
	for r := range t.All() {
		if len(values) == 0 {
			first = r.Day(stats.ColDay)
		}
		sum := 0.0
		for _, c := range counted {
			sum += float64(r.Number(c))
		}
		values = append(values, sum)
	}
	if len(values) < 2 || slices.Max(values) == 0 {
		return "", ""
	}
	most := slices.Max(values)
	note := name + " per day since " + formatDay(first) + ", at most " + formatNumber(int64(most))
	return chart.Sparkline(values, note), note
}
