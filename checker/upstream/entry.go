package upstream

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// githubRelease is an entry of the file; null is the same as absent.
type githubRelease struct {
	TagName     string        `json:"tag_name"`
	HTMLURL     string        `json:"html_url"`
	Draft       bool          `json:"draft"`
	Prerelease  bool          `json:"prerelease"`
	CreatedAt   string        `json:"created_at"`
	PublishedAt string        `json:"published_at"`
	Assets      []githubAsset `json:"assets"`
}

type githubAsset struct {
	Name string `json:"name"`
	URL  string `json:"browser_download_url"`
}

// parseRelease parses an entry. The release is empty if draft is true.
func parseRelease(raw jsontext.Value) (release catalog.Release, draft bool, err error) {
	if kind := raw.Kind(); kind != '{' {
		return release, false, fmt.Errorf("is %s, not a release", kindName(kind))
	}
	var e githubRelease
	if err := json.Unmarshal(raw, &e); err != nil {
		return release, false, wrongType(err)
	}
	if e.Draft {
		return release, true, nil
	}
	if e.TagName == "" {
		return release, false, noTag(raw)
	}
	if checker.Canonical(e.TagName) == "" || !checker.ValidVersion(e.TagName) {
		return release, false, fmt.Errorf("not a semantic version such as v1.2.3 (at most %d characters): remove the entry from the file", checker.MaxVersion)
	}
	if e.HTMLURL != "" {
		if err := printable.CheckLink(e.HTMLURL); err != nil {
			return release, false, fmt.Errorf("html_url: %w", err)
		}
	}
	release = catalog.Release{
		Version:    e.TagName,
		Notes:      e.HTMLURL,
		Prerelease: e.Prerelease || semver.Prerelease(checker.Canonical(e.TagName)) != "",
	}
	if release.Date, err = e.date(); err != nil {
		return release, false, err
	}
	release.Assets, err = e.files()
	return release, false, err
}

// date returns the zero time if the entry has no date.
func (e *githubRelease) date() (time.Time, error) {
	key, s := "published_at", e.PublishedAt
	if s == "" {
		key, s = "created_at", e.CreatedAt
	}
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %s is not a date such as 2020-04-27T22:48:51Z", key, quote(s))
	}
	return t.UTC(), nil
}

func (e *githubRelease) files() (map[checker.Platform]string, error) {
	var assets []Asset
	for i, a := range e.Assets {
		if err := printable.CheckDownload(a.URL); err != nil {
			return nil, fmt.Errorf("assets[%d] (%s): browser_download_url: %w", i, quote(a.Name), err)
		}
		assets = append(assets, Asset(a))
	}
	return ByPlatform(assets), nil
}

// noTag returns an error for an object without a tag, such as an error of the API.
func noTag(raw jsontext.Value) error {
	var answer struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &answer) == nil && answer.Message != "" {
		return fmt.Errorf("the file contains an error of the API (%s) instead of releases: download it again, with a token if the repository is private", quote(answer.Message))
	}
	return errors.New("no tag_name: " + githubForm)
}

// tagOf returns an entry's tag even if the rest of the entry cannot be read.
func tagOf(raw jsontext.Value) string {
	var e struct {
		TagName jsontext.Value `json:"tag_name"`
	}
	if raw.Kind() != '{' || json.Unmarshal(raw, &e) != nil || e.TagName.Kind() != '"' {
		return ""
	}
	tag, err := jsontext.AppendUnquote(nil, e.TagName)
	if err != nil {
		return ""
	}
	return string(tag)
}

func wrongType(err error) error {
	var wrong *json.SemanticError
	if !errors.As(err, &wrong) || wrong.GoType == nil {
		return err
	}
	want := "an object"
	switch wrong.GoType.Kind() {
	case reflect.String:
		want = "a string"
	case reflect.Bool:
		want = "true or false"
	case reflect.Slice:
		want = "an array"
	}
	return fmt.Errorf("%s is %s, not %s", wrong.JSONPointer, kindName(wrong.JSONKind), want)
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case '0':
		return "a number"
	}
	return k.String()
}

// quote quotes untrusted text, shortened.
func quote(s string) string {
	const maxLen = 100
	if len(s) > maxLen {
		return fmt.Sprintf("%q...", s[:maxLen])
	}
	return fmt.Sprintf("%q", s)
}
