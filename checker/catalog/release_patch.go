package catalog

import (
	"maps"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/checker/printable"
)

// ReleasePatch holds changes of a release. Fields that are nil keep their values.
type ReleasePatch struct {
	date       *time.Time
	notes      *string
	assets     map[checker.Platform]string // "" removes the file of a platform
	Prerelease *bool
	Withdrawn  *bool
}

// SetDate sets the time of publication: an RFC 3339 time, or a date.
func (e *ReleasePatch) SetDate(text string) error {
	t, err := ParseTime(text)
	t = t.UTC().Truncate(time.Second)                  // the resolution of the store
	if err != nil || t.Year() < 1 || t.Year() > 9999 { // the conversion to UTC may have left the range of RFC 3339
		return fieldErrorf("date", "%q is neither an RFC 3339 time (2026-01-31T12:00:00Z) nor a date (2026-01-31)", text)
	}
	e.date = &t
	return nil
}

// SetNotes sets the URL of the release notes. If it is empty, the product's template
// applies.
func (e *ReleasePatch) SetNotes(url string) error {
	if url != "" {
		if err := printable.CheckLink(url); err != nil {
			return fieldErrorf("notes", "%v", err)
		}
	}
	e.notes = &url
	return nil
}

// SetAsset sets the URL of the file for a platform such as linux/amd64.
func (e *ReleasePatch) SetAsset(platform, url string) error {
	p, err := checker.ParsePlatform(platform)
	if err == nil {
		err = printable.CheckDownload(url)
	}
	if err != nil {
		return fieldErrorf("assets", "%v", err)
	}
	e.setAsset(p, url)
	return nil
}

// RemoveAsset removes the file for a platform.
func (e *ReleasePatch) RemoveAsset(platform string) error {
	p, err := checker.ParsePlatform(platform)
	if err != nil {
		return fieldErrorf("assets", "%v", err)
	}
	e.setAsset(p, "")
	return nil
}

func (e *ReleasePatch) setAsset(p checker.Platform, url string) {
	if e.assets == nil {
		e.assets = map[checker.Platform]string{}
	}
	e.assets[p] = url
}

// CheckVersion returns a [FieldError] if no release can have the version.
func CheckVersion(version string) error {
	if !checker.ValidVersion(version) || checker.Canonical(version) == "" {
		return fieldErrorf("version", "%q is not a semantic version, such as v1.2.3", version)
	}
	return nil
}

// NewRelease returns a release of p with a version and defaults.
func NewRelease(p Product, version string) Release {
	if p.Module != "" && !strings.HasPrefix(version, "v") {
		version = "v" + version // tags of Go modules have it, and links are made of tags
	}
	return Release{Version: version, Prerelease: semver.Prerelease(checker.Canonical(version)) != ""}
}

// Apply returns r with the changes, except for Withdrawn: whether a release is
// withdrawn is stored separately.
func (e ReleasePatch) Apply(r Release) Release {
	if e.date != nil {
		r.Date = *e.date
	}
	if e.notes != nil {
		r.Notes = *e.notes
	}
	if e.Prerelease != nil {
		r.Prerelease = *e.Prerelease
	}
	r.Assets = maps.Clone(r.Assets)
	for platform, url := range e.assets {
		switch {
		case url == "":
			delete(r.Assets, platform)
		case r.Assets == nil:
			r.Assets = map[checker.Platform]string{platform: url}
		default:
			r.Assets[platform] = url
		}
	}
	return r
}
