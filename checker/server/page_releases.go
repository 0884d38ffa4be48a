package server

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"

	"relcheck/checker/catalog"
	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

// releasesPage is what the page of a product's releases is made from.
type releasesPage struct {
	Product  catalog.Product
	Tabs     []link
	Lead     string
	Note     string
	Counted  bool // ids are known of
	Any      bool // release is known
	Find     finder
	Paging   paging
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
	versions, all, n := v.Table("versions"), p.releases.newest(), p.releases.count
	page := releasesPage{Product: v.Product, Tabs: tabs(r, v.Product.Name), Counted: v.Known.Days() > 0, Any: n > 0,
		Find: newFinder(r, "Version contains", "version")}
	page.Lead = plural(int64(n), "release is", "releases are") + " known."
	if page.Counted {
		page.Lead += " The ids are those of the last 28 days."
		if versions != nil {
			page.Note = sentence(versions.Note)
		}
	}
	if page.Find.Value != "" {
		var found []*release
		for one := range all {
			if page.Find.matches(one.Version) {
				found = append(found, one)
			}
		}
		all, n = slices.Values(found), len(found)
	}
	if page.Paging, err = s.newListPaging(r, pageOfReleases, n); err != nil {
		return err
	}
	page.Releases = releaseLines(p, slices.Collect(pageOf(all, page.Paging)), versions, v.Latest)
	return s.render(w, r, http.StatusOK, "releases", "Releases of "+v.Product.Title, page)
}

func releaseLines(p *product, releases []*release, versions *stats.Table, latest string) (all []releaseLine) {
	counted := make(map[string]row, len(releases))
	for _, one := range releases {
		counted[one.Version] = row{}
	}
	for r := range rows(versions) {
		if _, shown := counted[r.text("version")]; shown {
			counted[r.text("version")] = r
		}
	}
	for _, one := range releases {
		notes, _ := notesLink(&p.Product, &one.Release)
		line := releaseLine{Version: one.Version, Date: unknown, Withdrawn: one.Withdrawn, Notes: notes, Reason: one.Retracted, IDs: unknown, Share: unknown}
		if !one.Date.IsZero() {
			line.Date = showDay(stats.DayOf(one.Date))
		}
		line.State, line.Class = state(&one.Release, latest)
		if r := counted[one.Version]; r.table != nil {
			line.IDs, line.Share, line.Bar = r.show("ids"), r.show("share"), chart.Bar(r.float("share"), "c0")
		}
		all = append(all, line)
	}
	return all
}

// state says in a word what a release is for those who ask.
func state(r *catalog.Release, latest string) (text, class string) {
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
