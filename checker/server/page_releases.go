package server

import (
	"html/template"
	"net/http"
	"net/url"

	"relcheck/checker"
	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

// releasesPage is what the page of a product's releases is made from.
type releasesPage struct {
	Product  checker.Product
	Tabs     []link
	Lead     string
	Note     string
	Counted  bool // ids are known of
	Releases []releaseLine
}

// releaseLine is one release on it.
type releaseLine struct {
	Version, Date, State, Class, Reason, Notes string
	Withdrawn                                  bool
	IDs, Share                                 string
	Bar                                        template.HTML
}

// releasesPage answers GET /products/{product}/releases.
func (s *Server) releasesPage(w http.ResponseWriter, r *http.Request) error {
	v, err := s.viewOf(r, r.PathValue("product"), url.Values{}.Get)
	if err != nil {
		return err
	}
	p := s.snapshot.Load().products.find(v.Product.Name)
	if p == nil {
		return unknownProduct(v.Product.Name)
	}
	page := releasesPage{Product: v.Product, Tabs: tabs(r, v.Product.Name), Counted: v.Known.Days() > 0}
	page.Lead = plural(int64(p.releases.count), "release is", "releases are") + " known."
	if page.Counted {
		page.Lead += " The ids are those of the last 28 days."
		if t := v.Table("versions"); t != nil {
			page.Note = sentence(t.Note)
		}
	}
	page.Releases = releaseLines(p, v)
	return s.render(w, r, http.StatusOK, "releases", "Releases of "+v.Product.Title, page)
}

func releaseLines(p *product, v *stats.View) (all []releaseLine) {
	counted := map[string]row{}
	for r := range rows(v.Table("versions")) {
		counted[r.text("version")] = r
	}
	for one := range p.releases.newest() {
		notes, _ := notesLink(&p.Product, &one.Release)
		line := releaseLine{Version: one.Version, Date: unknown, Withdrawn: one.Withdrawn, Notes: notes, Reason: one.Retracted, IDs: unknown, Share: unknown}
		if !one.Date.IsZero() {
			line.Date = showDay(stats.DayOf(one.Date))
		}
		line.State, line.Class = state(&one.Release, v.Latest)
		if r, ok := counted[one.Version]; ok {
			line.IDs, line.Share, line.Bar = r.show("ids"), r.show("share"), chart.Bar(r.float("share"), "c0")
		}
		all = append(all, line)
	}
	return all
}

// state says in a word what a release is for those who ask.
func state(r *checker.Release, latest string) (text, class string) {
	switch {
	case r.Withdrawn && r.Retracted != "":
		return "retracted", "bad"
	case r.Withdrawn:
		return "withdrawn", "bad"
	case r.Version == latest:
		return "latest", "good"
	case r.Prerelease:
		return "pre-release", "quiet"
	}
	return "", ""
}
