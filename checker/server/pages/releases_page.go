package pages

import (
	"html/template"

	"relcheck/checker/catalog"
	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// ReleasesData is the data of the page that lists a product's releases.
type ReleasesData struct {
	View     *stats.View // of the last 28 days
	Releases []Release   // on the current page of the list
	Search   Search
	Pager    Pager
	Total    int      // number of releases without a search
	Hints    []string // see [catalog.Product.Hints]
	Serves   bool     // the server serves hosted files

	Upstreams []catalog.Freshness // shown to readers only
}

// Release is a release, with its files, the path of its page, and the link to its notes if there
// are any.
type Release struct {
	catalog.Release
	Named          catalog.NamedFiles
	Page, NotesURL string
}

type releasesPage struct {
	ReleasesData
	Product   catalog.Product
	Tabs      []link
	Lead      string
	About     []string
	Counted   bool   // statistics are known
	CountHead string // of the column with counts
	Filed     bool   // files are known
	Rows      []releaseRow
}

type releaseRow struct {
	Version, Page, Date, State, Class, Reason, Notes, Files string
	Withdrawn                                               bool
	IDs, Share                                              string
	Bar                                                     template.HTML
}

// Releases renders the page that lists a product's releases.
func Releases(v Visitor, d ReleasesData) ([]byte, error) {
	d.Search.Label = "Version contains"
	page := releasesPage{ReleasesData: d, Product: d.View.Product, Tabs: v.tabs(&d.View.Product, nil), Counted: d.View.Known.Days() > 0}
	page.Lead = plural(int64(d.Total), "release", "releases") + "."
	if d.View.Preview != "" {
		page.Lead += " Only pre-releases are known. They are offered only to clients that run a pre-release."
	}
	versions := d.View.Table("versions")
	if page.Counted {
		if d.View.Remembers() {
			page.Lead += " Installations are counted on a mean day of the last 28."
		} else {
			page.Lead += " Instances are counted over the last 28 days."
		}
		page.About = aboutInstances
	}
	count, share, _ := d.View.Counted()
	page.CountHead = count.Head
	page.Rows = releaseRows(d.Releases, versions, count, share, d.View.Latest)
	for i, r := range d.Releases {
		page.Rows[i].Files = filesSummary(r.Named, d.Serves)
		page.Filed = page.Filed || page.Rows[i].Files != ""
	}
	return render("releases", v, "Releases of "+page.Product.Title, page)
}

func releaseRows(releases []Release, versions *stats.Table, count, share stats.Column, latest string) (all []releaseRow) {
	counted := map[string]stats.Row{}
	for r := range versions.All() {
		counted[r.Text(stats.ColVersion)] = r
	}
	for _, one := range releases {
		line := releaseRow{Version: one.Tag, Page: one.Page, Date: unknown, Withdrawn: one.Withdrawn, Notes: one.NotesURL, Reason: one.Reason, IDs: unknown, Share: unknown}
		if !one.Date.IsZero() {
			line.Date = formatDay(rollup.DayOf(one.Date))
		}
		line.State, line.Class = releaseState(&one.Release, latest)
		if r, ok := counted[one.Tag]; ok {
			line.IDs, line.Share, line.Bar = show(r, count), show(r, share), chart.Bar(r.Float(share), "ca")
		}
		all = append(all, line)
	}
	return all
}

// releaseState returns the status of a release and its CSS class.
func releaseState(r *catalog.Release, latest string) (text, class string) {
	switch {
	case r.Withdrawn:
		return "withdrawn", "bad"
	case r.Tag == latest:
		return "latest", "good"
	case r.Prerelease:
		return "pre-release", "quiet"
	}
	return "", ""
}
