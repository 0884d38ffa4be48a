package command

import (
	"slices"
	"strings"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/download"
	"relcheck/checker/upstream"
)

// selection is files of one release.
type selection struct {
	files []catalog.NamedFile

	// missing are the platforms without a link.
	missing []checker.Platform
}

// selectFiles returns the files of a release that answers link to for platforms, or for all
// platforms of the release if there are none. It adds the files that are for no platform.
func selectFiles(p *catalog.Product, r *catalog.Ranked, platforms []checker.Platform) (s selection) {
	d, named := r.Downloads(p), r.NamedFiles(p)
	if len(platforms) == 0 {
		for _, f := range d.ByPlatform() {
			s.add(named.Of(f))
		}
	}
	for _, platform := range platforms {
		f := named.Linked(p.DownloadURL(r.Tag, platform))
		if chosen := d.For(platform); chosen != nil {
			f = named.Of(chosen)
		}
		if f != nil {
			s.add(f)
		} else {
			s.missing = append(s.missing, platform)
		}
	}
	if len(s.files) > 0 || p.Download == "" { // a template does not list the files for platforms
		s.addOthers(d, named)
	}
	slices.SortFunc(s.files, func(a, b catalog.NamedFile) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// add adds a file, unless it was added for another platform.
func (s *selection) add(f *catalog.NamedFile) {
	if f != nil && !slices.ContainsFunc(s.files, func(g catalog.NamedFile) bool { return g.Name == f.Name }) {
		s.files = append(s.files, *f)
	}
}

// addOthers adds files that are for no platform, for example documentation, and files that
// are named after a selected one, for example its checksum or its signature.
func (s *selection) addOthers(d *catalog.Downloads, named catalog.NamedFiles) {
	chosen := s.files
	for i := range named {
		f := &named[i]
		about := func(g catalog.NamedFile) bool { return strings.HasPrefix(f.Name, g.Name+".") }
		of, isSum := upstream.ChecksumFile(f.Name, func(name string) bool { return named.Named(name) != nil })
		isSum = isSum && (of == "" || slices.ContainsFunc(chosen, func(g catalog.NamedFile) bool { return g.Name == of }))
		switch {
		case f.ByTemplate, f.Listed.URL+f.Here == "", d.Candidate(f):
		case isSum, !download.Mentions(f.Name), slices.ContainsFunc(chosen, about):
			s.add(f)
		}
	}
}
