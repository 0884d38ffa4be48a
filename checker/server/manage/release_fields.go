package manage

import (
	"strconv"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
	"relcheck/checker/upstream"
)

// releaseFields are the fields of a form for a release.
type releaseFields struct {
	tag                                                    *pages.Field // nil for an existing release
	title, date, prerelease, notes, body, files, checksums *pages.Field
}

// byTag is the choice to derive from the tag whether a release is a pre-release.
const byTag = ""

// newReleaseFields adds the fields to a form. r is nil for a new release.
func newReleaseFields(f *form, r *catalog.Release, notes string) *releaseFields {
	options := []pages.Option{{Value: "false", Text: "No"}, {Value: "true", Text: "Yes"}}
	prerelease, fields := byTag, &releaseFields{}
	if r == nil {
		r = new(catalog.Release)
		fields.tag = f.add(pages.Field{Name: "version", Label: "Tag", Hint: "As upstream spells it, such as v1.3.0.", Required: true})
		options = append([]pages.Option{{Value: byTag, Text: "As the tag says"}}, options...)
	} else {
		prerelease = strconv.FormatBool(r.Prerelease)
	}
	date := ""
	if !r.Date.IsZero() {
		date = r.Date.UTC().Format(time.RFC3339)
	}
	fields.title = f.add(pages.Field{Name: "title", Label: "Title", Value: r.Title})
	fields.date = f.add(pages.Field{Name: "date", Label: "Released", Hint: "A date such as 2026-10-01, or a time such as 2026-10-01T12:00:00Z. From then on it is offered.", Value: date})
	fields.prerelease = f.add(pages.Field{Name: "prerelease", Label: "Pre-release", Kind: pages.Choice, Value: prerelease, Options: options})
	fields.notes = f.add(pages.Field{Name: "notes", Label: "URL of the release notes", Value: r.Notes})
	fields.body = f.add(pages.Field{Name: "body", Label: "Release notes", Kind: pages.Area, Hint: "In Markdown.", Value: notes})
	fields.files = f.add(pages.Field{Name: "files", Label: "Files to add", Kind: pages.Area, Hint: "One a line: a URL, whose file name shows the platform, or a platform and a URL, such as linux/amd64=https://example.com/app. linux/amd64= removes the file of a platform."})
	fields.checksums = f.add(pages.Field{Name: "checksums", Label: "Checksums", Kind: pages.Area, Hint: "The text of a file such as SHA256SUMS, about files of the release."})
	return fields
}

// patch returns the changes. It reports false if a field shows an error.
func (v *releaseFields) patch(f *form) (e catalog.ReleasePatch, ok bool) {
	ok = true
	for _, text := range []struct {
		field *pages.Field
		set   func(string) error
	}{{v.title, e.SetTitle}, {v.date, e.SetDate}, {v.notes, e.SetNotes}, {v.body, e.SetText}} {
		if changed(text.field) {
			ok = f.refuse(text.set(text.field.Value)) && ok
		}
	}
	if changed(v.prerelease) && v.prerelease.Value != byTag {
		prerelease, err := strconv.ParseBool(v.prerelease.Value)
		if err != nil {
			v.prerelease.Error, ok = "Choose one of the options.", false
		}
		e.SetPrerelease(prerelease)
	}
	for line := range strings.Lines(v.files.Value) {
		if err := setFile(&e, strings.TrimSpace(line)); err != nil {
			_, v.files.Error = explain(err)
			ok = false
			break
		}
	}
	if v.checksums.Value != "" {
		ok = f.refuse(upstream.SetChecksums(&e, v.checksums.Value)) && ok
	}
	return e, ok
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
