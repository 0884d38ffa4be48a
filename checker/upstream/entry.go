package upstream

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// decode decodes an entry.
func decode(raw jsontext.Value, e any) error {
	if kind := raw.Kind(); kind != '{' {
		return fmt.Errorf("is %s, not an object", kindName(kind))
	}
	return wrongType(json.Unmarshal(raw, e, lenient))
}

// parseGitHub parses a release of GitHub's API. A key that is absent says nothing, so that a
// file made by hand need not repeat everything; null is empty.
func parseGitHub(raw jsontext.Value) (catalog.Entry, []string, error) {
	var e struct {
		Tag        string           `json:"tag_name"`
		Name       jsontext.Value   `json:"name"`
		HTMLURL    jsontext.Value   `json:"html_url"`
		Body       jsontext.Value   `json:"body"`
		Draft      bool             `json:"draft"`
		Prerelease *bool            `json:"prerelease"`
		Created    string           `json:"created_at"`
		Published  string           `json:"published_at"`
		Assets     []jsontext.Value `json:"assets"`
	}
	err := decode(raw, &e)
	switch {
	case err != nil:
		return catalog.Entry{}, nil, err
	case e.Draft:
		return catalog.Entry{Tag: e.Tag, Draft: true}, nil, nil
	case e.Tag == "":
		return catalog.Entry{}, nil, noTag(raw)
	}
	layer := catalog.Layer{Prerelease: e.Prerelease}
	err = errors.Join(readKey("name", e.Name, &layer.Title), readKey("html_url", e.HTMLURL, &layer.Notes), readKey("body", e.Body, &layer.Text))
	if err == nil {
		err = setDates(&layer, e.Created, e.Published)
	}
	if err != nil {
		return catalog.Entry{}, nil, err
	}
	if layer.Title != nil {
		*layer.Title = cleanLine(*layer.Title, catalog.MaxReleaseTitle)
	}
	if layer.Text != nil {
		*layer.Text = cleanText(*layer.Text)
	}
	if e.Assets == nil {
		return catalog.Entry{Tag: e.Tag, Upstream: layer}, nil, layer.Check()
	}
	files := newFileSet()
	for _, raw := range e.Assets {
		if f, uploaded, err := parseAsset(raw); uploaded || err != nil {
			files.add(f, err)
		}
	}
	layer.Files = files.files
	return catalog.Entry{Tag: e.Tag, Upstream: layer}, files.skipped, layer.Check()
}

// readKey reads the text of a key. It stays nil if the key is absent, and is empty if the
// value is null.
func readKey(key string, raw jsontext.Value, text **string) error {
	if raw == nil {
		return nil
	}
	if kind := raw.Kind(); kind != '"' && kind != 'n' {
		return fmt.Errorf("\"/%s\" is %s, not a string", key, kindName(kind))
	}
	*text = new(string)
	return json.Unmarshal(raw, *text, lenient)
}

// noTag returns an error for an object without a tag, such as an error of the API.
func noTag(raw jsontext.Value) error {
	var answer struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &answer, lenient) == nil && answer.Message != "" {
		return fmt.Errorf("the file contains an error of the API (%s) instead of releases: download it again, with a token if the repository is private", quote(answer.Message))
	}
	return errors.New("no tag_name: " + expected)
}

// parseAPI parses a release of relcheck's own API.
func parseAPI(raw jsontext.Value) (catalog.Entry, []string, error) {
	var e struct {
		Tag        string            `json:"version"`
		Title      *string           `json:"title"`
		Date       string            `json:"date"`
		Created    string            `json:"created"`
		Notes      string            `json:"notes"`
		Body       *string           `json:"body"` // absent in lists
		Prerelease bool              `json:"prerelease"`
		Withdrawn  bool              `json:"withdrawn"`
		Reason     string            `json:"reason"`
		Retracted  string            `json:"retracted"` // the reason, in older versions
		Assets     map[string]string `json:"assets"`
		Files      []jsontext.Value  `json:"files"`
	}
	if err := decode(raw, &e); err != nil {
		return catalog.Entry{}, nil, err
	}
	reason := e.Reason
	if e.Retracted != "" {
		reason, e.Withdrawn = e.Retracted, true
	}
	layer := catalog.Layer{Notes: &e.Notes, Prerelease: &e.Prerelease, Withdrawn: &e.Withdrawn, Reason: new(cleanLine(reason, maxReason))}
	if e.Title != nil {
		layer.Title = new(cleanLine(*e.Title, catalog.MaxReleaseTitle))
	}
	if e.Body != nil {
		layer.Text = new(cleanText(*e.Body))
	}
	if err := setDates(&layer, e.Created, e.Date); err != nil {
		return catalog.Entry{}, nil, err
	}
	files := newFileSet()
	for _, raw := range e.Files {
		files.add(parseFile(raw))
	}
	if e.Files == nil {
		for _, platform := range slices.Sorted(maps.Keys(e.Assets)) {
			url := e.Assets[platform]
			f := catalog.File{Name: catalog.FileName(url), URL: url}
			f.Platform.OS, f.Platform.Arch, _ = strings.Cut(platform, "/")
			files.add(f, printable.CheckDownload(url))
		}
	}
	layer.Files = files.files
	return catalog.Entry{Tag: e.Tag, Upstream: layer}, files.skipped, layer.Check()
}

func setDates(l *catalog.Layer, created, published string) (err error) {
	if l.Created, err = parseDate(created); err == nil {
		l.Published, err = parseDate(published)
	}
	return err
}

// unknownDate stands for an unknown date in GitHub's form, which has no other way to say so.
const unknownDate = "1970-01-01T00:00:00Z"

// parseDate returns nil if there is no date.
func parseDate(s string) (*time.Time, error) {
	if s == "" || s == unknownDate {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	date := storedTime(t)
	if err != nil || date == nil {
		return nil, fmt.Errorf("%s is not a date such as 2020-04-27T22:48:51Z", quote(s))
	}
	return date, nil
}

// storedTime returns t as stores keep it, or nil if it is outside the range of RFC 3339,
// which some time zones leave, or zero.
func storedTime(t time.Time) *time.Time {
	t = t.UTC().Truncate(time.Second)
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return nil
	}
	return &t
}

// cleanLine returns untrusted text without unprintable characters, with at most n
// characters.
func cleanLine(s string, n int) string {
	return shorten(strings.TrimSpace(printable.Clean(s)), n)
}

// shorten returns s with at most n characters.
func shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-3]) + "..."
}

// cleanText returns untrusted Markdown without control and format characters, which
// terminals may execute and which hide text. It keeps line breaks, tabs, and the joiners
// of emoji and Persian. A text over [catalog.MaxText] is cut.
func cleanText(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\u200c' || r == '\u200d':
			return r
		case unicode.In(r, unicode.Cc, unicode.Cf):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	if len(s) <= catalog.MaxText {
		return s
	}
	end := catalog.MaxText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// wrongType describes a value of a wrong type by its key.
func wrongType(err error) error {
	wrong, ok := errors.AsType[*json.SemanticError](err)
	if !ok || wrong.GoType == nil {
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
	case reflect.Int64:
		want = "a whole number"
	}
	if wrong.GoType == reflect.TypeFor[time.Time]() {
		want = "a date such as 2020-04-27T22:48:51Z"
	}
	where := string(wrong.JSONPointer)
	if where == "" {
		where = "value"
	}
	return fmt.Errorf("%s is %s, not %s", quote(where), kindName(wrong.JSONKind), want)
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
