package catalog

import (
	"cmp"
	"slices"
	"strings"

	"relcheck/checker"
)

// NamedFile is a file of a release under a name that is unique in the release.
type NamedFile struct {
	// Name is the name of the file. If several files of the release share it, it begins
	// with the platform: linux-amd64/kubectl.
	Name string

	// Listed is the file of the release's list, or of the product's template. It is empty
	// if the file is only hosted.
	Listed File

	// Hosted is the hosted file, or nil.
	Hosted *HostedFile
	State  HostedState

	// Here is the link to the file on this server, see [Product.SetLinks].
	Here string

	// ByTemplate means that no list contains the file, but the product's template names it.
	ByTemplate bool
}

// NamedFiles are the files of a release.
type NamedFiles []NamedFile

// NamedFiles returns the files of a release of the product: the listed ones, those that the
// product's template of downloads names, and those that are only hosted. Each has another
// name, and each but the last ones has another URL.
//
// A hosted file belongs to the file from whose URL it was fetched, or else to the file of
// its name.
func (p *Product) NamedFiles(r *Release) NamedFiles {
	l := namedList{urls: map[string]int{}}
	for _, f := range r.Files {
		if f.URL != "" && !f.OnlyHere() {
			l.add(f, false)
		}
	}
	l.addTemplate(p, r.Tag)
	l.name()
	l.addHosted(r.Hosted)
	for _, f := range r.Files {
		if named := l.files.Named(f.Name); f.OnlyHere() && named != nil {
			named.Here = f.Here
		}
	}
	return l.files
}

// Status describes the hosted file, or is empty if there is none.
func (f *NamedFile) Status() string {
	switch {
	case f.State == FileDamaged:
		return "damaged"
	case f.State == FileChanged:
		return "changed upstream"
	case f.State == FileHosted && f.Hosted.Verified:
		return "verified"
	case f.State == FileHosted:
		return "unverified"
	}
	return ""
}

// namedList is a list of files in the making. urls are the indexes of files.
type namedList struct {
	files NamedFiles
	urls  map[string]int
}

// add adds a file, or the data of another entry about the same file.
func (l *namedList) add(f File, byTemplate bool) {
	i, ok := l.urls[f.URL]
	if !ok {
		l.urls[f.URL] = len(l.files)
		l.files = append(l.files, NamedFile{Name: f.FileName(), Listed: f, Here: f.Here, ByTemplate: byTemplate})
		return
	}
	n := &l.files[i]
	name, platform := cmp.Or(n.Listed.Name, f.Name), cmp.Or(n.Listed.Platform, f.Platform)
	n.Listed = n.Listed.fill(f)
	n.Listed.Name, n.Listed.Platform, n.Name = name, platform, cmp.Or(name, n.Name)
}

// addTemplate adds the files that the product's template names, except those that are listed
// under another URL.
func (l *namedList) addTemplate(p *Product, tag string) {
	if p.Download == "" {
		return
	}
	var made []File
	names := map[string]int{}
	seen := map[string]bool{}
	for _, platform := range append(platforms(), checker.Other) {
		if link := p.DownloadURL(tag, platform); link != "" && !seen[link] {
			f := File{Name: FileName(link), URL: link}
			if platform != checker.Other {
				f.Platform = platform
			}
			made, seen[link] = append(made, f), true
			names[f.Name]++
		}
	}
	listed := map[File]bool{} // by name and platform
	for _, f := range l.files {
		listed[File{Name: f.Name, Platform: f.Listed.Platform}] = true
	}
	for _, f := range made {
		if !listed[File{Name: f.Name, Platform: f.Platform}] && (names[f.Name] > 1 || !listed[File{Name: f.Name}]) {
			l.add(f, true)
		}
	}
}

// name makes the names unique.
func (l *namedList) name() {
	names := map[string]int{}
	for _, f := range l.files {
		names[f.Name]++
	}
	taken := map[string]bool{}
	for i := range l.files {
		f := &l.files[i]
		if names[f.Name] > 1 && f.Listed.Platform != (checker.Platform{}) {
			f.Name = platformFolder(f.Listed.Platform) + "/" + f.Name
		}
		if taken[f.Name] { // two files for one platform
			f.Name = ""
		}
		taken[f.Name] = true
	}
	l.files = slices.DeleteFunc(l.files, func(f NamedFile) bool { return f.Name == "" })
}

// addHosted adds the hosted files. They must be sorted by name.
func (l *namedList) addHosted(hosted []HostedFile) {
	if len(hosted) == 0 {
		return
	}
	byURL, names := map[string]*HostedFile{}, map[string]bool{}
	for i := range hosted {
		byURL[hosted[i].URL] = &hosted[i]
	}
	for i := range l.files {
		f := &l.files[i]
		h := FindHosted(hosted, f.Name)
		if h != nil && h.URL != f.Listed.URL && (byURL[f.Listed.URL] != nil || l.has(h.URL)) {
			h = nil
		}
		if h == nil {
			h = byURL[f.Listed.URL]
		}
		f.Hosted, f.State = h, h.State(&f.Listed)
		names[f.Name] = true
	}
	for i := range hosted {
		if h := &hosted[i]; !names[h.Name] && !l.has(h.URL) {
			l.files = append(l.files, NamedFile{Name: h.Name, Hosted: h, State: h.State(&File{})})
		}
	}
}

// has reports whether a file has a URL.
func (l *namedList) has(url string) bool {
	_, ok := l.urls[url]
	return ok
}

// Named returns the file with a name, or nil. The name can also be the one under which the
// file was stored, before there were others of its name.
func (fs NamedFiles) Named(name string) *NamedFile {
	if f := fs.find(func(f *NamedFile) bool { return f.Name == name }); f != nil {
		return f
	}
	return fs.find(func(f *NamedFile) bool { return f.Hosted != nil && f.Hosted.Name == name })
}

// byName returns the files by the names that [NamedFiles.Named] finds.
func (fs NamedFiles) byName() map[string]*NamedFile {
	index := make(map[string]*NamedFile, len(fs))
	for i := range fs {
		if h := fs[i].Hosted; h != nil && index[h.Name] == nil {
			index[h.Name] = &fs[i]
		}
	}
	for i := range fs {
		index[fs[i].Name] = &fs[i]
	}
	return index
}

// Linked returns the file of a URL, or nil. The URL can also be one of the product's
// template, if another URL is listed for the file.
func (fs NamedFiles) Linked(url string) *NamedFile {
	if url == "" {
		return nil
	}
	if f := fs.find(func(f *NamedFile) bool { return f.Listed.URL == url }); f != nil {
		return f
	}
	name := FileName(url)
	return fs.find(func(f *NamedFile) bool { return f.Name == name })
}

// Of returns the file that [Downloads] has chosen, or nil.
func (fs NamedFiles) Of(f *File) *NamedFile {
	return fs.find(func(n *NamedFile) bool { return n.Listed.URL == f.URL || f.OnlyHere() && n.Name == f.Name })
}

func (fs NamedFiles) find(match func(*NamedFile) bool) *NamedFile {
	for i := range fs {
		if match(&fs[i]) {
			return &fs[i]
		}
	}
	return nil
}

// SetLinks sets the links to the files of a release on this server, and adds hosted files
// that no list contains. link returns "" for a file without a link.
func (p *Product) SetLinks(r *Release, link func(*NamedFile) string) {
	files := slices.DeleteFunc(slices.Clone(r.Files), File.OnlyHere)
	links := map[string]string{} // by URL
	for _, f := range p.NamedFiles(r) {
		here := link(&f)
		if links[f.Listed.URL] = here; here != "" && f.Hosted != nil && (f.ByTemplate || f.Listed.URL == "") {
			files = append(files, File{Name: f.Name, URL: here, Here: here, Size: f.Hosted.Size, SHA256: f.Hosted.SHA256, SHA512: f.Hosted.SHA512})
		}
	}
	for i := range files {
		if f := &files[i]; f.URL != "" && !f.OnlyHere() {
			f.Here = links[f.URL]
		}
	}
	slices.SortStableFunc(files, CompareFiles)
	r.Files = files
}

// platformFolder returns the part of a file's name for a platform: linux-amd64.
func platformFolder(p checker.Platform) string { return p.OS + "-" + p.Arch }

// cutPlatform splits the name of a [NamedFile] into its platform and the file's own name.
func cutPlatform(name string) (p checker.Platform, base string, ok bool) {
	folder, base, _ := strings.Cut(name, "/")
	p.OS, p.Arch, _ = strings.Cut(folder, "-")
	return p, base, p.Known() && base != ""
}
