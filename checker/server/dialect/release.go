package dialect

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/download"
)

// release is a release, as a template sees it.
type release struct {
	v *view
	r *catalog.Ranked
}

func (r *release) ID() int64        { return r.r.ID }
func (r *release) Tag() string      { return r.r.Tag }
func (r *release) Title() string    { return cmp.Or(r.r.Title, r.r.Tag) }
func (r *release) Prerelease() bool { return r.r.Prerelease }
func (r *release) Withdrawn() bool  { return r.r.Withdrawn }
func (r *release) Reason() string   { return r.r.Reason }
func (r *release) Notes() link      { return link(r.v.m.Links.Notes(r.r)) }
func (r *release) Page() link       { return link(r.v.m.Links.Page(r.r)) }

// Major returns the first number of the version, and Line the first two.
func (r *release) Major() string { return major(r.r.Version) }
func (r *release) Line() string  { return r.r.Version.Line() }

// Date returns the time of publication. If it is unknown, that is the Unix epoch, because
// many clients cannot read an answer without a date.
func (r *release) Date() time.Time { return cmp.Or(r.r.Date, time.Unix(0, 0)).UTC() }

// Version returns the tag without the product's prefix and a leading v. It has dots where
// the tag separates numbers by "_".
func (r *release) Version() string {
	text := r.v.m.Scheme.Trim(r.r.Tag)
	if r.r.Version.Ordered() && !strings.Contains(text, ".") {
		text = strings.ReplaceAll(text, "_", ".")
	}
	return text
}

// Before reports whether the release is older than another one.
func (r *release) Before(other *release) bool { return r.r.Version.CompareBuild(other.r.Version) < 0 }

// Step returns how far the release is from the caller's version: major, minor or patch.
func (r *release) Step() string {
	running, _ := r.v.running()
	switch {
	case major(r.r.Version) != major(running):
		return "major"
	case r.r.Version.CompareLine(running) != 0:
		return "minor"
	}
	return "patch"
}

// file is a file of a release, as a template sees it.
type file struct {
	ID             int64
	Name           string
	URL            link // ends in Name
	Size           int64
	SHA256, SHA512 string // in hexadecimal, or empty
	Type           string // such as application/gzip, or empty

	platform func() checker.Platform
}

// OS and Arch return the platform of the file by Go's names, or "" if it is unknown.
func (f *file) OS() string   { return f.platform().OS }
func (f *file) Arch() string { return f.platform().Arch }

// Files returns the files that have a link. Their names and IDs are unique.
func (r *release) Files() (files []*file) {
	names := map[string]bool{}
	for i := range r.r.Files {
		f := &r.r.Files[i]
		name, url := f.FileName(), r.v.m.Links.File(r.r, f)
		if name == "" || url == "" || names[name] {
			continue
		}
		names[name] = true
		platform := sync.OnceValue(func() checker.Platform { return r.platformOf(f) })
		files = append(files, &file{FileID(r.r.Tag, f), name, link(url), f.Size, f.SHA256, f.SHA512, f.MediaType, platform})
	}
	return files
}

// platformOf returns the platform of a file, or else the first one for which its name
// makes it a download, or zero.
func (r *release) platformOf(f *catalog.File) (platform checker.Platform) {
	if f.Platform != (checker.Platform{}) {
		return f.Platform
	}
	p := r.v.m.Product
	s := download.Choose([]download.File{{Name: f.FileName(), URL: f.URL}}, download.Options{Product: p.Name, Repository: p.Repo, Tag: r.r.Tag})
	for known := range s.Downloads {
		if known != checker.Other && (platform == (checker.Platform{}) || known.String() < platform.String()) {
			platform = known
		}
	}
	return platform
}

// FileID returns the ID of a file of a release with a tag. A file without an ID in the
// store gets one that does not change and fits into a floating-point number.
func FileID(tag string, f *catalog.File) int64 {
	if f.ID != 0 {
		return f.ID
	}
	sum := sha256.Sum256([]byte(tag + "\x00" + f.FileName()))
	return 1<<40 | int64(binary.BigEndian.Uint64(sum[:])>>24)
}

// File returns the file with a name.
func (r *release) File(name string) (*file, error) {
	for _, f := range r.Files() {
		if f.Name == name {
			return f, nil
		}
	}
	return nil, ErrNotFound
}

// Select returns the files for an operating system and an architecture, or for any if they
// are empty. Their names have one of the endings, which are separated by spaces, in any
// case. Files for amd64 come first.
func (r *release) Select(os, arch, endings string) (files []*file) {
	for _, f := range r.Files() {
		name := strings.ToLower(f.Name)
		if (os == "" || f.OS() == os) && (arch == "" || f.Arch() == arch) &&
			(endings == "" || slices.ContainsFunc(strings.Fields(endings), func(e string) bool { return strings.HasSuffix(name, e) })) {
			files = append(files, f)
		}
	}
	slices.SortStableFunc(files, func(a, b *file) int { return cmp.Compare(foreign(a), foreign(b)) })
	return files
}

func foreign(f *file) int {
	if f.Arch() == "amd64" {
		return 0
	}
	return 1
}

// Download returns the link to the file for the caller's platform, or else to the notes.
func (r *release) Download() link {
	p := r.v.q.Caller.Platform
	if p == (checker.Platform{}) {
		p = checker.Other
	}
	return cmp.Or(link(r.v.m.Links.Download(r.r, p)), r.Notes())
}
