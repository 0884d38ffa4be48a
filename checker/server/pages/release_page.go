package pages

import (
	"cmp"
	"html/template"
	"net/url"
	"slices"
	"strings"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// ReleaseData is the data of the page of a release.
type ReleaseData struct {
	Product   catalog.Product
	Release   *catalog.Ranked
	Latest    string        // tag of the latest release, or empty
	Notes     template.HTML // or empty
	HasTabs   bool          // the visitor may see the other pages of the product
	Serves    bool          // the server serves hosted files
	OnDemand  bool          // and fetches missing ones
	Elsewhere string        // URL of the notes upstream, or empty
}

type releasePage struct {
	ReleaseData
	Tabs         []link
	Edit         string // URL of the page that changes the release, or empty
	Tag          string
	Title        string // if it is not the tag
	State, Class string
	Dates        []labelled
	Files        []fileRow
	Summary      string
	HasPlatforms bool
}

type labelled struct{ Label, Text string }

// fileRow describes a file. SumURL is the URL of a file with its checksum.
type fileRow struct {
	Name, URL, Platforms, Size string
	Sum, SumKind, SumURL       string
	State, Class               string
}

// ReleasePage renders the page of a release.
func ReleasePage(v Visitor, d ReleaseData) ([]byte, error) {
	r := d.Release
	page := releasePage{ReleaseData: d, Tag: r.Tag}
	if r.Title != r.Tag {
		page.Title = r.Title
	}
	if d.HasTabs {
		page.Tabs = v.tabs(&d.Product, nil)
		for i := range page.Tabs {
			page.Tabs[i].Current = page.Tabs[i].Text == "Releases"
		}
	}
	if v.Releases {
		page.Edit = Address(v.Root+ManagePath(d.Product.Name)+"/release", url.Values{"tag": {r.Tag}})
	}
	page.State, page.Class = releaseState(&r.Release, d.Latest)
	if !r.Date.IsZero() {
		page.Dates = append(page.Dates, labelled{"Released", formatDay(rollup.DayOf(r.Date))})
	}
	if !r.Created.IsZero() && !r.Created.Equal(r.Date) {
		page.Dates = append(page.Dates, labelled{"Created", formatDay(rollup.DayOf(r.Created))})
	}
	page.Files = d.fileRows()
	page.HasPlatforms = slices.ContainsFunc(page.Files, func(f fileRow) bool { return f.Platforms != "" })
	page.Summary = filesSummary(r.NamedFiles(&d.Product), d.Serves)
	return render("release", v, d.Product.Title+" "+r.Tag, page)
}

// fileRows describes the files of the release, and hosted files that cannot be served.
func (d *ReleaseData) fileRows() (rows []fileRow) {
	platforms := map[string][]string{} // by URL
	for p, f := range d.Release.Downloads(&d.Product).ByPlatform() {
		name := p.String()
		if p == checker.Other {
			name = "every platform"
		}
		platforms[f.URL] = append(platforms[f.URL], name)
	}
	for _, f := range d.Release.NamedFiles(&d.Product) {
		if f.ByTemplate && f.Hosted == nil {
			continue
		}
		h := catalog.HostedFile{}
		if f.State == catalog.FileHosted || f.Listed.URL == "" {
			h = *f.Hosted
		}
		row := fileRow{Name: f.Name, URL: d.Product.FileURL(&catalog.File{URL: f.Listed.URL, Here: f.Here})}
		row.Platforms = strings.Join(slices.Sorted(slices.Values(append(platforms[f.Listed.URL], platforms[f.Here]...))), ", ")
		row.Size = unknown
		if size := cmp.Or(f.Listed.Size, h.Size); size > 0 || h.SHA256 != "" {
			row.Size = formatBytes(float64(size))
		}
		if row.Sum, row.SumKind = cmp.Or(f.Listed.SHA256, h.SHA256), "SHA-256"; row.Sum == "" && f.Listed.SHA512 != "" {
			row.Sum, row.SumKind = f.Listed.SHA512, "SHA-512"
		}
		row.State, row.Class = d.fileState(&f)
		if f.Here != "" && f.State == catalog.FileHosted {
			row.SumURL = f.Here + ".sha256"
		}
		rows = append(rows, row)
	}
	return rows
}

// fileState describes where a file is and whether it was verified, and returns the CSS
// class.
func (d *ReleaseData) fileState(f *catalog.NamedFile) (text, class string) {
	switch {
	case !d.Serves:
		return "", ""
	case f.State == catalog.FileDamaged:
		return "damaged here", "bad"
	case f.State == catalog.FileChanged:
		return f.Status(), "bad"
	case f.State == catalog.FileHosted && f.Here == "":
		return "missing here", "bad"
	case f.State == catalog.FileHosted && f.Hosted.Verified:
		return f.Status(), "good"
	case f.State == catalog.FileHosted:
		return f.Status(), "quiet"
	case f.Here != "" && d.OnDemand:
		return "fetched on request", "quiet"
	}
	if d.Product.Links == catalog.LinksHostedOnly {
		return "not here", "quiet"
	}
	return "upstream only", "quiet"
}

// filesSummary describes how many files a release has, and how many of them are hosted.
func filesSummary(files catalog.NamedFiles, serves bool) string {
	n, here, unverified, broken := 0, 0, 0, 0
	for _, f := range files {
		if f.Hosted != nil || !f.ByTemplate {
			n++
		}
		switch {
		case f.State == catalog.FileHosted:
			if here++; !f.Hosted.Verified {
				unverified++
			}
		case f.Hosted != nil:
			broken++
		}
	}
	if n == 0 {
		return ""
	}
	text := plural(int64(n), "file", "files")
	if serves && here > 0 {
		text += ", " + formatNumber(int64(here)) + nbsp + "here"
	}
	if serves && unverified > 0 {
		text += ", " + formatNumber(int64(unverified)) + nbsp + "unverified"
	}
	if serves && broken > 0 {
		text += ", " + formatNumber(int64(broken)) + nbsp + "damaged or changed"
	}
	return text
}
