package server

import (
	"cmp"
	"net/url"
	"slices"
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
	tag = escapeTag(tag)
	link := l.base + "/files/" + product + "/" + tag + "/" + url.PathEscape(name)
	if tag == "" || escapeTag(name) == "" || printable.CheckDownload(link) != nil {
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
	if page := releasePath(p.Name, r.Tag); l != nil && p.NotesHere && page != "" {
		return l.base + page
	}
	return p.NotesURL(r)
}

// download returns the link to the file of a release for a platform, or "".
func (l *links) download(p *catalog.Product, r *catalog.Ranked, platform checker.Platform) string {
	if f := r.Downloads(p).For(platform); f != nil {
		return p.FileURL(f)
	}
	link := p.DownloadURL(r.Tag, platform)
	if l == nil || !l.onDemand || link == "" || p.UpstreamLinks {
		return link
	}
	return cmp.Or(l.file(p.Name, r.Tag, catalog.FileName(link)), link)
}

// add sets the links to the files that this server serves or fetches, and adds hosted files
// that no list contains. It can be called again.
func (l *links) add(p *catalog.Product, r *catalog.Release) {
	if l == nil || l.files == nil || len(r.Hosted) == 0 && !l.onDemand {
		return
	}
	links, urls := map[string]string{}, map[string]string{} // by the names of files
	for _, h := range r.Hosted {
		if _, state := r.HostedFile(h.Name); state == catalog.FileHosted && l.files.Usable(h.SHA256) {
			links[h.Name] = l.file(p.Name, r.Tag, h.Name)
		}
	}
	files := slices.DeleteFunc(slices.Clone(r.Files), catalog.File.OnlyHere)
	for i := range files {
		f := &files[i]
		if f.Here = ""; f.URL == "" {
			continue
		}
		name := f.FileName()
		f.Here = links[name]
		if first, ok := urls[name]; l.onDemand && f.Here == "" && (!ok || first == f.URL) {
			f.Here = l.file(p.Name, r.Tag, name)
		}
		urls[name] = cmp.Or(urls[name], f.URL)
	}
	for _, h := range r.Hosted {
		if link := links[h.Name]; urls[h.Name] == "" && link != "" {
			files = append(files, catalog.File{Name: h.Name, URL: link, Here: link, Size: h.Size, SHA256: h.SHA256})
		}
	}
	slices.SortStableFunc(files, catalog.CompareFiles)
	r.Files = files
}
