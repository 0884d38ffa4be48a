package edit

import (
	"maps"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"relcheck/checker"
)

// Release is what is said of a release. What is nil stays as it was, or is the
// default of a new one.
type Release struct {
	date       *time.Time
	notes      *string
	assets     map[checker.Platform]string // by platform; "" takes one away
	Prerelease *bool
	Withdrawn  *bool
}

// SetDate says when it was published: an RFC 3339 time, or a date.
func (e *Release) SetDate(text string) error {
	t, err := ParseTime(text)
	t = t.UTC().Truncate(time.Second)                  // as it is stored
	if err != nil || t.Year() < 1 || t.Year() > 9999 { // in UTC it may be beyond what can be written
		return mistake("date", "%q is neither an RFC 3339 time (2026-01-31T12:00:00Z) nor a date (2026-01-31)", text)
	}
	e.date = &t
	return nil
}

// SetNotes says where its notes are. An empty URL is for the product's template.
func (e *Release) SetNotes(url string) error {
	if url != "" {
		if err := checker.CheckLink(url); err != nil {
			return mistake("notes", "%v", err)
		}
	}
	e.notes = &url
	return nil
}

// SetAsset says where the file for a platform is, such as linux/amd64. Those for
// other platforms stay.
func (e *Release) SetAsset(platform, url string) error {
	p, err := checker.ParsePlatform(platform)
	if err == nil {
		err = checker.CheckDownload(url)
	}
	if err != nil {
		return mistake("assets", "%v", err)
	}
	e.setAsset(p, url)
	return nil
}

// TakeAsset says that there is no file for a platform.
func (e *Release) TakeAsset(platform string) error {
	p, err := checker.ParsePlatform(platform)
	if err != nil {
		return mistake("assets", "%v", err)
	}
	e.setAsset(p, "")
	return nil
}

func (e *Release) setAsset(p checker.Platform, url string) {
	if e.assets == nil {
		e.assets = map[checker.Platform]string{}
	}
	e.assets[p] = url
}

// CheckVersion returns an error unless a release can have the version.
func CheckVersion(version string) error {
	if !checker.ValidVersion(version) || checker.Canonical(version) == "" {
		return mistake("version", "%q is not a semantic version, such as v1.2.3", version)
	}
	return nil
}

// NewRelease returns the release of a product of which no more is said than its
// version.
func NewRelease(p checker.Product, version string) checker.Release {
	if p.Module != "" && !strings.HasPrefix(version, "v") {
		version = "v" + version // the tags of Go modules have it, and links are made of tags
	}
	return checker.Release{Version: version, Prerelease: semver.Prerelease(checker.Canonical(version)) != ""}
}

// Apply returns what becomes of r. It leaves alone whether r is withdrawn, which
// is stored in another way.
func (e Release) Apply(r checker.Release) checker.Release {
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
