package command

import (
	"cmp"
	"slices"
	"strings"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/upstream"
)

// selection is the files of one release to fetch.
type selection struct {
	files []catalog.File // that answers link to, each with a name
	sums  []catalog.File // checksum files of files

	// missing are the platforms without a link.
	missing []checker.Platform
}

// selectFiles returns the files of a release that answers link to for platforms, or for all
// platforms of the release if there are none.
func selectFiles(p *catalog.Product, r *catalog.Ranked, platforms []checker.Platform) (s selection) {
	d := r.Downloads(p)
	if len(platforms) == 0 {
		for _, f := range d.ByPlatform() {
			s.add(*f)
		}
	}
	for _, platform := range platforms {
		if f := d.For(platform); f != nil {
			s.add(*f)
		} else if link := p.DownloadURL(r.Tag, platform); link != "" {
			s.add(listedAs(r, catalog.File{URL: link}))
		} else {
			s.missing = append(s.missing, platform)
		}
	}
	slices.SortFunc(s.files, catalog.CompareFiles)
	s.addSums(r)
	return s
}

// add adds a file, unless it was added for another platform.
func (s *selection) add(f catalog.File) {
	f.Name, f.Platform = cmp.Or(f.Name, catalog.FileName(f.URL)), checker.Platform{}
	if !slices.ContainsFunc(s.files, func(g catalog.File) bool { return g.Name == f.Name && g.URL == f.URL }) {
		s.files = append(s.files, f)
	}
}

// listedAs adds the data of the release's list to a file of the same name.
func listedAs(r *catalog.Ranked, f catalog.File) catalog.File {
	f.Name = catalog.FileName(f.URL)
	for _, listed := range r.Files {
		if listed.Name == f.Name {
			f.Size, f.SHA256, f.SHA512 = listed.Size, listed.SHA256, listed.SHA512
		}
	}
	return f
}

// addSums adds the checksum files of the files. For a file without another checksum, it
// adds the link with guessedSuffix, which may not exist.
func (s *selection) addSums(r *catalog.Ranked) {
	selected := func(name string) bool {
		return slices.ContainsFunc(s.files, func(f catalog.File) bool { return f.Name == name })
	}
	known := func(name string) bool {
		return selected(name) || slices.ContainsFunc(r.Files, func(f catalog.File) bool { return f.Name == name })
	}
	covered := map[string]bool{} // names of files that a listed checksum file describes
	for _, f := range r.Files {
		of, ok := upstream.ChecksumFile(f.Name, known)
		if !ok || f.URL == "" || of != "" && !selected(of) || selected(f.Name) {
			continue
		}
		f.Platform = checker.Platform{}
		s.sums = append(s.sums, f)
		covered[of] = true // an empty name stands for all files
	}
	for _, f := range s.files {
		if f.SHA256+f.SHA512 == "" && !covered[f.Name] && !covered[""] && f.URL != "" && !strings.Contains(f.URL, "?") {
			s.sums = append(s.sums, catalog.File{Name: f.Name + guessedSuffix, URL: f.URL + guessedSuffix, MediaType: guessed})
		}
	}
}

// guessedSuffix is appended to the URL of a file to look for its checksum. Such files have
// the media type guessed.
const guessedSuffix, guessed = ".sha256", "guessed"
