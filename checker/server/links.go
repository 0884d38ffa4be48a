package server

import (
	"net/url"
	"strings"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/printable"
	"relcheck/checker/server/hosting"
)

// links makes links to this server. A nil *links makes none.
type links struct {
	base     string
	files    *hosting.Files // nil if this server serves no files
	onDemand bool           // the server fetches missing files
}

// escapeTag returns a tag as a part of a URL, or "" if browsers would change it.
func escapeTag(tag string) string {
	parts := strings.Split(tag, "/")
	for i, part := range parts {
		if part == "" || part == "." || part == ".." {
			return ""
		}
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// file returns the link to a file of a release, or "" if it cannot have one.
func (l *links) file(product, tag, name string) string {
	tag, name = escapeTag(tag), escapeTag(name)
	link := l.base + "/files/" + product + "/" + tag + "/" + name
	if tag == "" || name == "" || printable.CheckDownload(link) != nil {
		return ""
	}
	return link
}

// releasePath returns the path of the page of a release, or "" if it cannot have one.
func releasePath(product, tag string) string {
	tag = escapeTag(tag)
	if tag == "" {
		return ""
	}
	return "/products/" + product + "/releases/" + tag
}

// notes returns the link to the notes of a release, or "".
func (l *links) notes(p *catalog.Product, r *catalog.Release) string {
	if page := releasePath(p.Name, r.Tag); l != nil && p.NotesOnPage() && page != "" {
		return l.base + page
	}
	return p.NotesURL(r)
}

// download returns the link to the file of a release for a platform, or "".
func (l *links) download(p *catalog.Product, r *catalog.Ranked, platform checker.Platform) string {
	if f := r.Downloads(p).For(platform); f != nil {
		return p.FileURL(f)
	}
	link, here := p.DownloadURL(r.Tag, platform), ""
	if f := r.NamedFiles(p).Linked(link); f != nil && l != nil && l.onDemand {
		here = l.to(p, &r.Release, f)
	}
	return p.FileURL(&catalog.File{URL: link, Here: here})
}

// to returns the link to a file if this server serves or fetches it, or "".
func (l *links) to(p *catalog.Product, r *catalog.Release, f *catalog.NamedFile) string {
	usable := f.State == catalog.FileHosted && l.files.Usable(f.Hosted.SHA256)
	if !usable && (!l.onDemand || f.State == catalog.FileChanged || f.Listed.URL == "") {
		return ""
	}
	return l.file(p.Name, r.Tag, f.Name)
}

// add sets the links to the files that this server serves or fetches, and adds hosted files
// that no list contains. It can be called again.
func (l *links) add(p *catalog.Product, r *catalog.Release) {
	if l != nil && l.files != nil && (len(r.Hosted) > 0 || l.onDemand) {
		p.SetLinks(r, func(f *catalog.NamedFile) string { return l.to(p, r, f) })
	}
}
