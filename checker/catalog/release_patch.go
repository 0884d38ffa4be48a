package catalog

import (
	"iter"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"relcheck/checker"
	"relcheck/checker/download"
	"relcheck/checker/printable"
)

// MaxTag is the length of the longest tag, in bytes.
const MaxTag = 200

// CheckTag returns a [FieldError] if no release can have the tag.
func CheckTag(tag string) error {
	switch {
	case tag == "":
		return fieldErrorf("version", "the tag is missing")
	case len(tag) > MaxTag:
		return fieldErrorf("version", "the tag has %d bytes, and may have %d", len(tag), MaxTag)
	case !utf8.ValidString(tag) || printable.Check(tag) != nil || strings.ContainsFunc(tag, func(r rune) bool { return r == ' ' || r == '\\' }):
		return fieldErrorf("version", "%q cannot be a tag: it contains a space, a backslash, or an invisible or control character", tag)
	}
	return nil
}

// ReleasePatch holds changes of the operator's layer of a release. Fields that are nil
// keep their values.
type ReleasePatch struct {
	layer Layer
	files []File
	sums  []File // of files, the last ones
}

// SetDate sets the time of publication: an RFC 3339 time, or a date.
func (e *ReleasePatch) SetDate(text string) error {
	t, err := ParseTime(text)
	t = t.UTC().Truncate(time.Second)                  // the resolution of the store
	if err != nil || t.Year() < 1 || t.Year() > 9999 { // the conversion to UTC may have left the range of RFC 3339
		return fieldErrorf("date", "%q is neither an RFC 3339 time (2026-01-31T12:00:00Z) nor a date (2026-01-31)", text)
	}
	e.layer.Published = &t
	return nil
}

func (e *ReleasePatch) set(l Layer) error {
	err := l.Check()
	if err == nil {
		e.layer = e.layer.Overlay(l)
	}
	return err
}

// SetTitle sets the title of the release.
func (e *ReleasePatch) SetTitle(title string) error { return e.set(Layer{Title: &title}) }

// SetNotes sets the URL of the release notes. If it is empty, the product's template
// applies.
func (e *ReleasePatch) SetNotes(url string) error { return e.set(Layer{Notes: &url}) }

// SetText sets the release notes, in Markdown.
func (e *ReleasePatch) SetText(markdown string) error { return e.set(Layer{Text: &markdown}) }

// SetPrerelease sets whether the release is a pre-release.
func (e *ReleasePatch) SetPrerelease(prerelease bool) { e.layer.Prerelease = &prerelease }

// SetWithdrawn withdraws or restores the release.
func (e *ReleasePatch) SetWithdrawn(withdrawn bool) { e.layer.Withdrawn = &withdrawn }

// SetAsset sets the URL of the file for a platform such as linux/amd64.
func (e *ReleasePatch) SetAsset(platform, url string) error {
	p, err := download.ParsePlatform(platform)
	if err == nil {
		err = printable.CheckDownload(url)
	}
	if err != nil {
		return fieldErrorf("assets", "%v", err)
	}
	f := File{Name: FileName(url), Platform: p, URL: url}
	if checkFileName(f.Name) != nil {
		f.Name = ""
	}
	e.files = append(e.files, f)
	return nil
}

// RemoveAsset removes the file for a platform.
func (e *ReleasePatch) RemoveAsset(platform string) error {
	p, err := download.ParsePlatform(platform)
	if err != nil {
		return fieldErrorf("assets", "%v", err)
	}
	e.files = append(e.files, File{Platform: p})
	return nil
}

// SetFile adds a file, or changes the fields of the file with that name that are not
// empty. Its name determines its platform.
func (e *ReleasePatch) SetFile(f File) error {
	f.ID, f.Platform = 0, checker.Platform{}
	f.SHA256, f.SHA512 = strings.ToLower(f.SHA256), strings.ToLower(f.SHA512)
	l := Layer{Files: []File{f}}
	if err := l.Check(); err != nil {
		return err
	}
	e.files = append(e.files, f)
	return nil
}

// SetChecksums sets the checksums of files of the release. Other files are ignored, but
// one of them must be a file of the release.
func (e *ReleasePatch) SetChecksums(files iter.Seq[File]) error {
	for f := range files {
		if err := e.SetFile(f); err != nil {
			return err
		}
		e.sums = append(e.sums, f)
	}
	return nil
}

// Check returns a [FieldError] if the patch has checksums and none is of a file of r, to
// which the patch was applied.
func (e *ReleasePatch) Check(r *Release) error {
	if names := r.without(e.sums); len(names) > 0 && len(names) == len(e.sums) {
		return fieldErrorf("checksums", "the release has none of the files that they name, such as %.100q: add its files first", names[0])
	}
	return nil
}

// without returns the names of files that the release does not have, sorted.
func (r *Release) without(files []File) (names []string) {
	for _, f := range files {
		same := func(own File) bool { return own.Name == f.Name && own.URL != "" }
		if f.Platform == (checker.Platform{}) && f.URL == "" && !slices.ContainsFunc(r.Files, same) {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// FileName returns the name of the file that a URL leads to: the last part of its path.
func FileName(link string) string {
	link, _, _ = strings.Cut(link, "#")
	link, _, _ = strings.Cut(link, "?")
	link = path.Base(link)
	if name, err := url.PathUnescape(link); err == nil && checkFileName(name) == nil {
		return name
	}
	return link
}

// Apply returns l with the changes.
func (e ReleasePatch) Apply(l Layer) Layer {
	l = l.Overlay(e.layer)
	if len(e.files) == 0 {
		return l
	}
	files := slices.Clone(l.Files)
	for _, f := range e.files {
		if f.Platform != (checker.Platform{}) { // a platform has one file
			files = slices.DeleteFunc(files, func(old File) bool { return old.Platform == f.Platform && old.URL != f.URL })
		}
		files = setFile(files, f)
	}
	slices.SortFunc(files, CompareFiles)
	l.Files = files
	return l
}
