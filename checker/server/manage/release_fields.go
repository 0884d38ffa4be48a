package manage

import (
	"strconv"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
	"relcheck/checker/upstream"
	"relcheck/checker/version"
)

// releaseFields are the fields of a form for a release.
type releaseFields struct {
	tag                                                    *pages.Field // nil for an existing release
	title, date, prerelease, notes, body, files, checksums *pages.Field
}

// Labels of the fields, which tables also have.
const (
	tagLabel        = "Tag"
	titleLabel      = "Title"
	dateLabel       = "Released"
	prereleaseLabel = "Pre-release"
	notesLabel      = "URL of the release notes"
	textLabel       = "Release notes"
)

// byTag is the choice to derive from the tag whether a release is a pre-release.
const byTag = ""

// newReleaseFields adds the fields to a form. r is nil for a new release.
func newReleaseFields(f *form, r *catalog.Release, notes string) *releaseFields {
	options := []pages.Option{{Value: "false", Text: "No"}, {Value: "true", Text: "Yes"}}
	prerelease, fields := byTag, &releaseFields{}
	if r == nil {
		r = new(catalog.Release)
		fields.tag = f.add(pages.Field{Name: "version", Label: tagLabel, Hint: "Spell it as upstream does, such as v1.3.0.", Required: true})
		options = append([]pages.Option{{Value: byTag, Text: "Decide by the tag"}}, options...)
	} else {
		prerelease = strconv.FormatBool(r.Prerelease)
	}
	date := strings.TrimSuffix(r.Date.UTC().Format(time.RFC3339), "T00:00:00Z") // as people enter it
	if r.Date.IsZero() {
		date = ""
	}
	fields.title = f.add(pages.Field{Name: "title", Label: titleLabel, Value: r.Title})
	fields.date = f.add(pages.Field{Name: "date", Label: dateLabel, Hint: "Enter a date such as 2026-10-01, or a time such as 2026-10-01T12:00:00Z. If it is in the future, the release is offered from then on.", Value: date})
	fields.prerelease = f.add(pages.Field{Name: "prerelease", Label: prereleaseLabel, Hint: "A pre-release is offered only to clients that run one of the same version, and in channels with pre-releases.", Kind: pages.Choice, Value: prerelease, Options: options})
	fields.notes = f.add(pages.Field{Name: "notes", Label: notesLabel, Hint: "If empty, the template of the product makes it.", Value: r.Notes})
	fields.body = f.add(pages.Field{Name: "body", Label: textLabel, Kind: pages.Area, MinRows: 6, Hint: "Write Markdown.", Value: notes})
	fields.files = f.add(pages.Field{Name: "files", Label: "Files to add", Kind: pages.Area, MinRows: 3, Hint: "Enter one a line: a URL whose file name contains the platform, or a platform and a URL, such as linux/amd64=https://example.com/app. To remove the file of a platform, enter linux/amd64= without a URL."})
	fields.checksums = f.add(pages.Field{Name: "checksums", Label: "Checksums", Kind: pages.Area, MinRows: 3, Hint: "Paste the text of a file such as SHA256SUMS about files of the release."})
	return fields
}

// patch returns the changes of a release that has some layers. Each field with an invalid value
// shows an error.
func (v *releaseFields) patch(f *form, layers [2]*catalog.Layer) (e catalog.ReleasePatch) {
	for _, text := range []struct {
		field *pages.Field
		set   func(string) error
	}{{v.title, e.SetTitle}, {v.date, e.SetDate}, {v.notes, e.SetNotes}, {v.body, e.SetText}} {
		if changed(text.field) {
			f.refuse(text.set(text.field.Value))
		}
	}
	if changed(v.prerelease) && v.prerelease.Value != byTag {
		prerelease, err := strconv.ParseBool(v.prerelease.Value)
		if err != nil {
			v.prerelease.Error = "Choose one of the options."
		}
		e.SetPrerelease(prerelease)
	}
	for line := range strings.Lines(v.files.Value) {
		if err := setFile(&e, strings.TrimSpace(line)); err != nil {
			_, v.files.Error = explain(err)
			break
		}
	}
	if v.checksums.Value != "" && f.refuse(upstream.SetChecksums(&e, v.checksums.Value)) && v.files.Error == "" { // the store checks it again
		files := catalog.Layer{}
		if own := layers[catalog.Operator]; own != nil {
			files.Files = own.Files
		}
		files = e.Apply(files)
		f.refuse(e.Check(new(catalog.NewRelease(version.Version{}, layers[catalog.Upstream], &files))))
	}
	return e
}

// setFile applies a line about a file.
func setFile(e *catalog.ReleasePatch, line string) error {
	platform, url, isPlatform := strings.Cut(line, "=")
	switch {
	case line == "":
		return nil
	case !isPlatform || strings.Contains(platform, ":"):
		return e.SetFile(catalog.File{Name: catalog.FileName(line), URL: line})
	case url == "":
		return e.RemoveAsset(platform)
	}
	return e.SetAsset(platform, url)
}
