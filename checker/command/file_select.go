package command

import (
	"cmp"
	"slices"
	"strings"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/upstream"
)

// selection is files of one release.
type selection struct {
	files []catalog.NamedFile // that answers link to
	sums  []catalog.NamedFile // checksum files of files

	// missing are the platforms without a link.
	missing []checker.Platform
}

// selectFiles returns the files of a release that answers link to for platforms, or for all
// platforms of the release if there are none.
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
	slices.SortFunc(s.files, func(a, b catalog.NamedFile) int { return strings.Compare(a.Name, b.Name) })
	s.addSums(named)
	return s
}

// add adds a file, unless it was added for another platform.
func (s *selection) add(f *catalog.NamedFile) {
	if f != nil && !slices.ContainsFunc(s.files, func(g catalog.NamedFile) bool { return g.Name == f.Name }) {
		s.files = append(s.files, *f)
	}
}

// addSums adds the checksum files of the files. For a file without another checksum, it
// adds the link with guessedSuffix, which may not exist.
func (s *selection) addSums(named catalog.NamedFiles) {
	selected := func(name string) bool {
		return slices.ContainsFunc(s.files, func(f catalog.NamedFile) bool { return f.Name == name })
	}
	known := func(name string) bool { return selected(name) || named.Named(name) != nil }
	covered := map[string]bool{} // names of files that a checksum file describes
	for _, f := range named {
		of, ok := upstream.ChecksumFile(f.Name, known)
		if !ok || of != "" && !selected(of) || selected(f.Name) || f.ByTemplate || f.Listed.URL+f.Here == "" {
			continue
		}
		s.sums = append(s.sums, f)
		covered[of] = true // an empty name stands for all files
	}
	for _, f := range s.files {
		if l := f.Listed; l.SHA256+l.SHA512 == "" && !covered[f.Name] && !covered[""] && l.URL != "" && !strings.Contains(l.URL, "?") {
			sum := cmp.Or(named.Named(f.Name+guessedSuffix), &catalog.NamedFile{Name: f.Name + guessedSuffix})
			s.sums = append(s.sums, catalog.NamedFile{Name: sum.Name, Listed: catalog.File{URL: l.URL + guessedSuffix, MediaType: guessed}, Hosted: sum.Hosted, State: sum.State})
		}
	}
}

// guessedSuffix is appended to the URL of a file to look for its checksum. Such files have
// the media type guessed.
const guessedSuffix, guessed = ".sha256", "guessed"
