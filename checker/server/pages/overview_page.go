package pages

import (
	"cmp"
	"html/template"
	"slices"
	"strings"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

// OverviewData is the data of the page that lists all products.
type OverviewData struct {
	Products []ProductSummary // on this page of the list
	Search   Search
	Pager    Pager
	Total    int    // number of products, whatever the search finds
	First    string // name of the first product, which the next steps are shown for
	Base     string // URL of the service
}

// ProductSummary describes a product on the overview.
type ProductSummary struct {
	Name, Title, Latest string
	Tiles               []tile
	Spark               template.HTML
	SparkNote           string
	note                string
}

type overviewPage struct {
	OverviewData
	Empty bool // no product has any reports
	Note  string
}

// Overview renders the page that lists all products.
func Overview(v Visitor, d OverviewData) ([]byte, error) {
	d.Search.Label = "Name contains"
	page := overviewPage{OverviewData: d, Empty: d.Search.Value == "" && d.Pager.Pages() <= 1}
	for _, p := range d.Products {
		page.Empty = page.Empty && len(p.Tiles) == 0
		page.Note = cmp.Or(p.note, page.Note)
	}
	if page.Empty {
		page.Note = ""
	}
	return render("overview", v, "relcheck", page)
}

// NewProductSummary returns the summary of a product from its statistics of the last 28
// days, which are those that everyone may see if public is true.
func NewProductSummary(v *stats.View, public bool) ProductSummary {
	o := ProductSummary{Name: v.Product.Name, Title: v.Product.Title, Latest: "No release is known yet."}
	if v.Latest != "" {
		o.Latest = v.Latest + " is the latest release."
	}
	if v.Known.Days() == 0 {
		return o
	}
	b := newBuilder(v, public)
	for _, t := range b.summaryTiles() {
		if strings.HasPrefix(t.Name, "Ids") || b.total() == 0 {
			o.Tiles = append(o.Tiles, t)
		}
	}
	for r := range rows(v.Table("latest")) {
		if v.Latest != "" && r.text("what") == "latest release" && r.has("share") {
			o.Latest = r.text("version") + " is the latest release; " + r.show("share") + " of the ids run it, or newer."
		}
	}
	o.Spark, o.SparkNote = b.sparkline()
	if t := b.Table("summary"); t != nil {
		o.note = sentence(t.Note)
	}
	return o
}

// sparkline draws the ids of the last days, or weeks.
func (b *builder) sparkline() (template.HTML, string) {
	t, column, unit := b.Table("daily"), "day", "day"
	if t == nil {
		t, column, unit = b.Table("weekly"), "from", "week"
	}
	counted := "ids"
	if b.total() == 0 && b.checks() > 0 {
		counted = "checks"
	}
	var values []float64
	var first stats.Day
	for r := range rows(t) {
		if len(values) == 0 {
			first = r.day(column)
		}
		values = append(values, float64(r.number(counted)))
	}
	if len(values) < 2 || slices.Max(values) == 0 {
		return "", ""
	}
	most := slices.Max(values)
	note := strings.ToUpper(counted[:1]) + counted[1:] + " by " + unit + " since " + formatDay(first) + ", " + formatNumber(int64(most)) + " at most"
	return chart.Sparkline(values, note), note
}
