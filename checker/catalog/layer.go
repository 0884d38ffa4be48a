package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"relcheck/checker"
	"relcheck/checker/printable"
	"relcheck/checker/version"
)

// The limits of one release.
const (
	MaxFiles = 1000     // as many as GitHub allows
	MaxText  = 64 << 10 // of the release notes, in bytes

	MaxReleaseTitle = 250 // in characters
)

// Source identifies the source of a layer. The operator's values take precedence over
// upstream's.
type Source int

const (
	Upstream Source = iota
	Operator
)

// Layer is what one source says about a release. A nil field says nothing.
type Layer struct {
	Title      *string    `json:"title,omitzero"`
	Notes      *string    `json:"notes,omitzero"`     // URL of the release notes
	Text       *string    `json:"body,omitzero"`      // the release notes in Markdown
	Created    *time.Time `json:"created,omitzero"`   // with a resolution of seconds
	Published  *time.Time `json:"published,omitzero"` // the same
	Prerelease *bool      `json:"prerelease,omitzero"`
	Withdrawn  *bool      `json:"withdrawn,omitzero"`
	Reason     *string    `json:"reason,omitzero"` // why it is withdrawn

	// Files are the files of the release, sorted by name and platform. The
	// operator's files add to upstream's, or override their fields.
	Files []File `json:"files,omitzero"`

	// List names the upstream list that last contained the release, or is empty. Gone
	// means that the list does not contain it any more.
	List string `json:"list,omitzero"`
	Gone bool   `json:"gone,omitzero"`
}

// File is a file of a release.
type File struct {
	ID   int64  `json:"-"` // identifies the file in its store; 0 if unknown
	Name string `json:"name,omitzero"`

	// Platform is set if the source itself says which platform the file is for.
	// Otherwise the name decides. A file with a platform and without a URL means that
	// the platform has no file.
	Platform checker.Platform `json:"platform,omitzero"`

	URL       string `json:"url,omitzero"`
	Size      int64  `json:"size,omitzero"`   // in bytes; 0 if unknown
	SHA256    string `json:"sha256,omitzero"` // in lower-case hexadecimal; empty if unknown
	SHA512    string `json:"sha512,omitzero"`
	MediaType string `json:"media_type,omitzero"` // such as application/gzip

	// Here is the link to the file on this server, or empty. It is not stored.
	Here string `json:"-"`
}

// FileName returns the name of the file, or the name in its URL if it has none.
func (f File) FileName() string {
	if f.Name != "" {
		return f.Name
	}
	return FileName(f.URL)
}

// OnlyHere reports whether the file is hosted and no list contains it.
func (f File) OnlyHere() bool { return f.Here != "" && f.Here == f.URL }

// Equal reports whether two files are equal, except for their IDs and links to this server.
func (f File) Equal(g File) bool {
	f.ID, g.ID, f.Here, g.Here = 0, 0, "", ""
	return f == g
}

// CompareFiles compares files by name and platform, which identify them in a layer.
func CompareFiles(a, b File) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Platform.OS, b.Platform.OS), strings.Compare(a.Platform.Arch, b.Platform.Arch))
}

// Date returns the time of publication if it is known, otherwise the time of creation, or
// zero.
func (l *Layer) Date() time.Time { return cmp.Or(value(l.Published), value(l.Created)) }

// Overlay returns l with the fields that over sets. If over has files, they replace
// the files of l.
func (l Layer) Overlay(over Layer) Layer {
	l.Title = cmp.Or(over.Title, l.Title)
	l.Notes = cmp.Or(over.Notes, l.Notes)
	l.Text = cmp.Or(over.Text, l.Text)
	l.Created = cmp.Or(over.Created, l.Created)
	l.Published = cmp.Or(over.Published, l.Published)
	l.Prerelease = cmp.Or(over.Prerelease, l.Prerelease)
	l.Withdrawn = cmp.Or(over.Withdrawn, l.Withdrawn)
	l.Reason = cmp.Or(over.Reason, l.Reason)
	if over.Files != nil {
		l.Files = over.Files
	}
	return l
}

// fromRelcheck reports whether another relcheck has merged the layer from its upstream's
// and its operator's layers.
func (l *Layer) fromRelcheck() bool {
	return strings.HasPrefix(l.List, string(RelcheckUpstream)+":") || IsBundleList(l.List)
}

// MergeLayers merges upstream's and the operator's layers of a release into one layer of
// upstream with the same effect. Either may be nil. The result belongs in a list of kind
// [RelcheckUpstream], or in a bundle.
func MergeLayers(tag version.Version, upstream, operator *Layer) Layer {
	up, op := value(upstream), value(operator)
	if up.Gone {
		up.Withdrawn, up.Reason = new(true), new(GoneReason)
	}
	both := up.Overlay(op)
	both.Files = mergeFiles(up.Files, op.Files)
	if both.Prerelease != nil {
		both.Prerelease = new(NewRelease(tag, upstream, operator).Prerelease)
	}
	both.Text = cmp.Or(both.Text, new(""))
	both.List, both.Gone = "", false
	return both
}

// Differences returns the names of the fields that differ, except List, which alone is
// no change.
func (l *Layer) Differences(m *Layer) (names []string) {
	for _, d := range []struct {
		name string
		same bool
	}{
		{"title", equal(l.Title, m.Title)},
		{"date", equalTime(l.Published, m.Published) && equalTime(l.Created, m.Created)},
		{"notes", equal(l.Notes, m.Notes) && equal(l.Text, m.Text)},
		{"prerelease", equal(l.Prerelease, m.Prerelease)},
		{"withdrawn", equal(l.Withdrawn, m.Withdrawn) && equal(l.Reason, m.Reason) && l.Gone == m.Gone},
		{"files", slices.EqualFunc(l.Files, m.Files, File.Equal)},
	} {
		if !d.same {
			names = append(names, d.name)
		}
	}
	return names
}

func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func equalTime(a, b *time.Time) bool {
	return a == b || a != nil && b != nil && a.Equal(*b)
}

// Check returns a [FieldError] if a field is invalid. It sorts the files.
func (l *Layer) Check() error {
	switch {
	case l.Text != nil && len(*l.Text) > MaxText:
		return fieldErrorf("body", "has %d bytes; give at most %d", len(*l.Text), MaxText)
	case len(l.Files) > MaxFiles:
		return fieldErrorf("files", "there are %d; give at most %d", len(l.Files), MaxFiles)
	}
	if l.Title != nil && *l.Title != "" {
		if err := printable.CheckLabel(*l.Title, MaxReleaseTitle); err != nil {
			return fieldErrorf("title", "%v", err)
		}
	}
	if l.Notes != nil && *l.Notes != "" {
		if err := printable.CheckLink(*l.Notes); err != nil {
			return fieldErrorf("notes", "%v", err)
		}
	}
	slices.SortFunc(l.Files, CompareFiles)
	for i, f := range l.Files {
		err := f.Check()
		if err == nil && i > 0 && CompareFiles(l.Files[i-1], f) == 0 {
			err = errors.New("is listed twice")
		}
		if err != nil {
			return fieldErrorf("files", "%.100q: %v", cmp.Or(f.Name, f.Platform.String()), err)
		}
	}
	return nil
}

// maxName is the length of the longest name of a file, in characters, as on most file
// systems. maxMediaType is the length of the longest media type, in bytes.
const maxName, maxMediaType = 255, 255

// Check returns an error unless f can be a file of a release.
func (f *File) Check() error {
	hasPlatform := f.Platform != (checker.Platform{})
	if f.Name != "" || !hasPlatform {
		if err := checkFileName(f.Name); err != nil {
			return err
		}
	}
	switch {
	case hasPlatform && !f.Platform.Known():
		return fmt.Errorf("unknown platform %.100q", f.Platform.String())
	case f.Size < 0:
		return fmt.Errorf("size %d is negative; give the size in bytes", f.Size)
	case f.SHA256 != "" && !isHash(f.SHA256, 32), f.SHA512 != "" && !isHash(f.SHA512, 64):
		return errors.New("not a hash: give SHA-256 as 64 and SHA-512 as 128 hexadecimal digits")
	case !ValidMediaType(f.MediaType):
		return errors.New("not a media type, such as application/gzip")
	case f.URL != "":
		return printable.CheckDownload(f.URL)
	}
	return nil
}

func checkFileName(name string) error {
	if strings.ContainsAny(name, `/\`) || name == "." || name == ".." {
		return errors.New("not the name of a file")
	}
	return printable.CheckLabel(name, maxName)
}

// ValidMediaType reports whether s can be the media type of a file. It may be empty.
func ValidMediaType(s string) bool { return len(s) <= maxMediaType && printable.Check(s) == nil }

// isHash reports whether text is a hash of n bytes in lower-case hexadecimal.
func isHash(text string, n int) bool {
	return len(text) == 2*n && strings.Trim(text, "0123456789abcdef") == ""
}

// mergeFiles merges upstream's files with the operator's. A file of the operator for a
// platform replaces upstream's files for that platform.
func mergeFiles(upstream, operator []File) []File {
	if len(operator) == 0 {
		return upstream
	}
	given := map[checker.Platform]bool{}
	for _, f := range operator {
		given[f.Platform] = f.Platform != (checker.Platform{})
	}
	files := slices.DeleteFunc(slices.Clone(upstream), func(f File) bool { return given[f.Platform] })
	for _, f := range operator {
		files = setFile(files, f)
	}
	byURL := map[string]File{}
	for _, f := range files {
		byURL[f.URL] = f.fill(byURL[f.URL])
	}
	files = slices.DeleteFunc(files, func(f File) bool { // fields of a file that upstream does not have
		return f.URL == "" && f.Platform == (checker.Platform{})
	})
	for i, f := range files {
		if f.URL != "" { // a link for a platform may lead to one of the other files
			files[i] = f.fill(byURL[f.URL])
		}
	}
	slices.SortFunc(files, CompareFiles)
	return files
}

// setFile returns files with f, which changes those fields of a file of the same name and
// platform that f sets. Without a platform and a URL, it changes all files of that name.
func setFile(files []File, f File) []File {
	anyPlatform := f.Platform == (checker.Platform{}) && f.URL == ""
	found := false
	for i, old := range files {
		if old.Name == f.Name && (anyPlatform || old.Platform == f.Platform) {
			changed := f.fill(old)
			changed.ID, changed.Platform = cmp.Or(old.ID, f.ID), old.Platform
			files[i], found = changed, true
		}
	}
	if !found {
		files = append(files, f)
	}
	return files
}

// fill returns f with its empty fields set to g's, except its name and platform.
func (f File) fill(g File) File {
	f.URL = cmp.Or(f.URL, g.URL)
	f.Size = cmp.Or(f.Size, g.Size)
	f.SHA256, f.SHA512 = cmp.Or(f.SHA256, g.SHA256), cmp.Or(f.SHA512, g.SHA512)
	f.MediaType = cmp.Or(f.MediaType, g.MediaType)
	return f
}
