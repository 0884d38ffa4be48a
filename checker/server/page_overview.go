package server

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

// overviewPage is what the page of all products is made from.
type overviewPage struct {
	Products []overview
	Any      bool // product is known
	Find     finder
	Paging   paging
	Empty    bool   // nothing was ever reported of any of them
	First    string // the product that the next steps are told for
	Base     string
	Note     string
}

// overview is one product on it.
type overview struct {
	Name, Title, Latest string
	Tiles               []tile
	Spark               template.HTML
	SparkNote           string
}

// index answers GET /. Programs get a few lines of text.
func (s *Server) index(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "Accept, Cookie")
	switch {
	case !wantsPage(r):
		return s.indexText(w)
	case s.audience(r) == nobody:
		return s.connectPage(w, r)
	}
	return s.overviewPage(w, r)
}

func (s *Server) overviewPage(w http.ResponseWriter, r *http.Request) error {
	all := s.listed()
	page := overviewPage{Any: len(all) > 0, Empty: true, Base: s.options.Base, First: DefaultProduct, Find: newFinder(r, "Name contains", "product")}
	if page.Any {
		page.First = all[0].Name
	}
	if page.Find.Value != "" {
		all = slices.DeleteFunc(all, func(p catalog.Product) bool { return !page.Find.matches(p.Title) && !page.Find.matches(p.Name) })
		page.Empty = false
	}
	var err error
	if page.Paging, err = s.newListPaging(r, pageOfProducts, len(all)); err != nil {
		return err
	}
	if page.Paging.Pages() > 1 {
		page.Empty = false
	}
	for p := range pageOf(slices.Values(all), page.Paging) {
		v, err := s.viewOf(r, p.Name, url.Values{}.Get)
		if err != nil {
			return err
		}
		one := newOverview(v, s.audience(r) != reader)
		page.Empty = page.Empty && len(one.Tiles) == 0
		page.Products = append(page.Products, one)
		if t := v.Table("summary"); t != nil {
			page.Note = sentence(t.Note)
		}
	}
	if page.Empty {
		page.Note = ""
	}
	return s.render(w, r, http.StatusOK, "overview", "relcheck", page)
}

// listed are all products, by what people call them.
func (s *Server) listed() (all []catalog.Product) {
	keys := map[string]string{}
	for _, p := range s.snapshot.Load().products.values() {
		keys[p.Name] = strings.ToLower(p.Title) + "\x00" + p.Name
		all = append(all, p.Product)
	}
	slices.SortFunc(all, func(a, b catalog.Product) int { return strings.Compare(keys[a.Name], keys[b.Name]) })
	return all
}

func newOverview(v *stats.View, public bool) overview {
	o := overview{Name: v.Product.Name, Title: v.Product.Title, Latest: "No release is known yet."}
	if v.Latest != "" {
		o.Latest = v.Latest + " is the latest release."
	}
	if v.Known.Days() == 0 {
		return o
	}
	b := newBuilder(v, public)
	for _, t := range b.tiles() {
		if strings.HasPrefix(t.Name, "Ids") || b.total() == 0 {
			o.Tiles = append(o.Tiles, t)
		}
	}
	for r := range rows(v.Table("latest")) {
		if v.Latest != "" && r.text("what") == "latest release" && r.has("share") {
			o.Latest = r.text("version") + " is the latest release; " + r.show("share") + " of the ids run it, or newer."
		}
	}
	o.Spark, o.SparkNote = b.spark()
	return o
}

// spark draws the ids of the last days, or weeks.
func (b *builder) spark() (template.HTML, string) {
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
	note := strings.ToUpper(counted[:1]) + counted[1:] + " by " + unit + " since " + showDay(first) + ", " + showNumber(int64(most)) + " at most"
	return chart.Sparkline(values, note), note
}
