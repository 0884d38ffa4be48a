package catalog

import (
	"cmp"
	"maps"
	"strings"

	"relcheck/checker"
	"relcheck/checker/download"
)

// Downloads are the files of a release that are offered for download.
type Downloads struct {
	// Selection says which of the files without a platform were chosen, and why.
	// Choices refer to them by their index in Named.
	Selection download.Selection
	Named     []File

	given  map[checker.Platform]*File // files whose platform is given, by platform
	hosted map[checker.Platform]*File // hosted files that no list contains, by the platform of their names
}

// The values of [Product.Links].
const (
	LinksHosted     = "hosted"      // to the hosted file, or else to upstream's
	LinksUpstream   = "upstream"    // to upstream's file, even if it is hosted
	LinksHostedOnly = "hosted-only" // to the hosted file only: clients cannot reach upstream
)

// LinkChoices are the values of [Product.Links].
var LinkChoices = []string{LinksHosted, LinksUpstream, LinksHostedOnly}

// FileURL returns the link to a file of a release of the product, or "".
func (p *Product) FileURL(f *File) string {
	switch p.Links {
	case LinksUpstream:
		return f.URL
	case LinksHostedOnly:
		return f.Here
	}
	return cmp.Or(f.Here, f.URL)
}

// NotesOnPage reports whether the link to a release's notes leads to its page on this server.
func (p *Product) NotesOnPage() bool { return p.NotesHere || p.Links == LinksHostedOnly }

// Downloads chooses the files of a release of the product. It takes a few microseconds
// for each file.
func (p *Product) Downloads(r *Release) *Downloads {
	d := &Downloads{given: map[checker.Platform]*File{}}
	var named []download.File
	for i := range r.Files {
		f := &r.Files[i]
		if f.Platform != (checker.Platform{}) {
			d.given[f.Platform] = f
		} else if f.URL != "" && !strings.Contains(f.Name, "/") {
			d.Named = append(d.Named, *f)
			named = append(named, download.File{Name: f.Name, URL: f.URL})
		}
	}
	module, _, _ := strings.Cut(p.Module, " ")
	options := download.Options{Product: p.Name, Repository: cmp.Or(p.Repo, module), Tag: r.Tag}
	if p.File != "" {
		options.FileName = func(platform checker.Platform) string { return p.fileName(r.Tag, platform) }
	}
	d.Selection = download.Choose(named, options)
	d.addHosted(p, r)
	return d
}

// addHosted chooses hosted files that no list contains for platforms: those that the
// product's template names, because a template is for releases without a list of files, and
// those whose names begin with a platform.
func (d *Downloads) addHosted(p *Product, r *Release) {
	here := map[string]*File{} // by name
	for i := range r.Files {
		if f := &r.Files[i]; f.OnlyHere() {
			here[f.Name] = f
		}
	}
	if len(here) == 0 {
		return
	}
	d.hosted = map[checker.Platform]*File{}
	for name, f := range here {
		if platform, _, ok := cutPlatform(name); ok && d.For(platform) == nil {
			d.hosted[platform] = f
		}
	}
	if p.Download == "" {
		return
	}
	named := p.NamedFiles(r)
	for _, platform := range platforms() {
		link := p.DownloadURL(r.Tag, platform)
		chosen := d.For(platform)
		if link == "" || chosen != nil && !chosen.OnlyHere() {
			continue
		}
		if f := named.Linked(link); p.Links == LinksUpstream {
			d.hosted[platform] = nil
		} else if f != nil && here[f.Name] != nil {
			d.hosted[platform] = here[f.Name]
		}
	}
}

// For returns the file for a platform, or nil if there is none. The result for
// [checker.Other] is a file that runs on every platform.
func (d *Downloads) For(p checker.Platform) *File {
	if f, ok := d.given[p]; ok {
		if f.URL == "" {
			return nil
		}
		return f
	}
	if f, ok := d.hosted[p]; ok {
		return f
	}
	for _, p := range []checker.Platform{p, checker.Other} {
		if c, ok := d.Selection.Downloads[p]; ok {
			return &d.Named[c.File]
		}
	}
	return nil
}

// ByPlatform returns the files by platform. A file that runs on every platform is under
// [checker.Other].
func (d *Downloads) ByPlatform() map[checker.Platform]*File {
	all := make(map[checker.Platform]*File, len(d.given)+len(d.Selection.Downloads))
	for p, c := range d.Selection.Downloads {
		all[p] = &d.Named[c.File]
	}
	maps.Copy(all, d.hosted)
	maps.Copy(all, d.given)
	maps.DeleteFunc(all, func(_ checker.Platform, f *File) bool { return f == nil || f.URL == "" })
	return all
}

// Lacks reports whether a platform has a file in old and none in d.
func (d *Downloads) Lacks(old *Downloads) bool {
	for p := range old.ByPlatform() {
		if d.For(p) == nil {
			return true
		}
	}
	return false
}

// Reason returns why the file for a platform was chosen, as a phrase.
func (d *Downloads) Reason(p checker.Platform) string {
	if d.given[p] != nil {
		return "the platform was given with the file"
	}
	if d.hosted[p] != nil {
		return "the template of downloads or its name is for the platform"
	}
	return d.Selection.Downloads[p].Reason
}

// WhyNot returns why a file of Named is not offered for any platform, as a phrase, or "" if
// it is.
func (d *Downloads) WhyNot(file int) string {
	reason := d.Selection.Unused[file]
	for _, p := range append(checker.Platforms(), checker.Other) {
		c, ok := d.Selection.Downloads[p]
		if ok && c.File == file && d.given[p] == nil {
			return ""
		}
		for _, other := range c.Others {
			if other.File == file {
				reason = other.Reason
			}
		}
	}
	return cmp.Or(reason, "another file was given for the platform")
}
