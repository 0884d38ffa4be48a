package pages

import (
	"cmp"
	"html/template"
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
		page.Tabs = v.tabs(&d.Product)
		for i := range page.Tabs {
			page.Tabs[i].Current = strings.HasSuffix(page.Tabs[i].URL, "/releases")
		}
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
	page.Summary = filesSummary(&r.Release, d.Serves)
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
	listed := map[string]bool{}
	for _, f := range d.Release.Files {
		if f.URL == "" {
			continue
		}
		listed[f.FileName()] = true
		row := fileRow{Name: f.FileName(), URL: d.Product.FileURL(&f)}
		slices.Sort(platforms[f.URL])
		row.Platforms = strings.Join(platforms[f.URL], ", ")
		h, state := d.Release.HostedFile(row.Name)
		if h == nil || state != catalog.FileHosted {
			h = &catalog.HostedFile{}
		}
		row.describe(cmp.Or(f.Size, h.Size), cmp.Or(f.SHA256, h.SHA256), f.SHA512)
		row.State, row.Class = d.fileState(&f, h, state)
		if f.Here != "" && state == catalog.FileHosted {
			row.SumURL = f.Here + ".sha256"
		}
		rows = append(rows, row)
	}
	for _, h := range d.Release.Hosted {
		if !listed[h.Name] {
			row := fileRow{Name: h.Name}
			row.describe(h.Size, h.SHA256, "")
			_, state := d.Release.HostedFile(h.Name)
			row.State, row.Class = d.fileState(&catalog.File{}, &h, state)
			rows = append(rows, row)
		}
	}
	return rows
}

func (r *fileRow) describe(size int64, sha256, sha512 string) {
	r.Size = unknown
	if size > 0 {
		r.Size = formatBytes(float64(size))
	}
	if r.Sum, r.SumKind = sha256, "SHA-256"; sha256 == "" && sha512 != "" {
		r.Sum, r.SumKind = sha512, "SHA-512"
	}
}

// fileState describes where a file is and whether it was verified, and returns the CSS
// class.
func (d *ReleaseData) fileState(f *catalog.File, h *catalog.HostedFile, state catalog.HostedState) (text, class string) {
	switch {
	case !d.Serves:
		return "", ""
	case state == catalog.FileDamaged:
		return "damaged here", "bad"
	case state == catalog.FileChanged:
		return "changed upstream", "bad"
	case state == catalog.FileHosted && f.Here == "":
		return "missing here", "bad"
	case state == catalog.FileHosted && h.Verified:
		return "verified", "good"
	case state == catalog.FileHosted:
		return "unverified", "quiet"
	case f.Here != "" && d.OnDemand:
		return "fetched on request", "quiet"
	}
	return "upstream only", "quiet"
}

// filesSummary describes how many files a release has, and how many of them are hosted.
func filesSummary(r *catalog.Release, serves bool) string {
	n, here, unverified, broken := 0, 0, 0, 0
	for _, f := range r.Files {
		if f.URL != "" {
			n++
		}
	}
	for _, h := range r.Hosted {
		_, state := r.HostedFile(h.Name)
		switch {
		case state != catalog.FileHosted:
			broken++
		case !h.Verified:
			unverified++
			here++
		default:
			here++
		}
	}
	if n == 0 && here == 0 && broken == 0 {
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
