package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker/catalog"
	"relcheck/checker/fetch"
)

// The bounds of a file of releases. A product with 100,000 releases of ten files each has
// about 300 MB.
const (
	maxFile     = 1 << 30 // bytes
	maxReleases = 100_000
)

const expected = "expected releases as returned by GitHub's API (GET /repos/{owner}/{repo}/releases) or relcheck's API, or written by relcheck release export"

// lenient accepts lone surrogates (\ud83d), which become U+FFFD. Whatever must not
// contain them is checked: U+FFFD is not printable.
var lenient = jsontext.AllowInvalidUTF8(true)

// ReadReleases reads a file of releases in UTF-8. It detects its form:
//
//   - the response of GitHub's releases API, which Gitea and others share: an array of
//     releases, or one of them. Drafts are marked as such. A release says everything
//     about its files, so that files that are removed upstream disappear.
//   - a page of relcheck's own API;
//   - the output of [WriteExport], which alone is a whole list.
//
// Unknown keys are ignored. Entries that are invalid or repeat a tag are skipped and
// described in the list, by number, from 1, and tag; so are invalid files of valid
// entries. It is an error if the file is truncated, is not a list of releases, or has
// entries but none that is valid.
func ReadReleases(r io.Reader) (catalog.List, error) {
	text, err := readText(r)
	if err != nil {
		return catalog.List{}, err
	}
	f, entries, err := split(text)
	if err != nil {
		return catalog.List{}, syntaxError(text, err)
	}
	if len(entries) > maxReleases {
		return catalog.List{}, fmt.Errorf("more than %d releases in one file", maxReleases)
	}
	return f.read(entries)
}

func readText(r io.Reader) (jsontext.Value, error) {
	text, err := fetch.ReadAll(r, maxFile)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) // editors write this mark
	switch {
	case len(text) == 0:
		return nil, errors.New("the file is empty: " + expected)
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return nil, errors.New("the file is in UTF-16: save it as UTF-8")
	case !utf8.Valid(text):
		return nil, errors.New("the file contains invalid UTF-8: save it as UTF-8")
	}
	return text, nil
}

// form is a form of lists of releases.
type form struct {
	tagKey string // of an entry
	whole  bool
	parse  func(jsontext.Value) (e catalog.Entry, skippedFiles []string, err error)

	settings catalog.ProductPatch // of an export; nil if they cannot be read
}

var (
	gitHubForm = form{tagKey: "tag_name", parse: parseGitHub}
	apiForm    = form{tagKey: "version", parse: parseAPI}
	exportForm = form{tagKey: "tag", whole: true, parse: parseExported}
)

// split returns the form and the entries of a file.
func split(text jsontext.Value) (f form, entries []jsontext.Value, err error) {
	if text.Kind() == '[' {
		return gitHubForm, entries, json.Unmarshal(text, &entries, lenient)
	}
	if kind := text.Kind(); kind != '{' {
		if err := json.Unmarshal(text, new(jsontext.Value), lenient); err != nil {
			return f, nil, err
		}
		return f, nil, fmt.Errorf("the file contains %s: %s", kindName(kind), expected)
	}
	var object struct {
		Export   jsontext.Value `json:"relcheck_export"`
		Product  jsontext.Value `json:"product"`
		Tag      jsontext.Value `json:"tag_name"`
		Releases jsontext.Value `json:"releases"`
	}
	if err := json.Unmarshal(text, &object, lenient); err != nil {
		return f, nil, err
	}
	switch {
	case object.Export != nil && string(object.Export) != "1":
		return f, nil, fmt.Errorf("the file has version %s of the export format, not 1: import it with the relcheck that wrote it, or a newer one", quote(string(object.Export)))
	case object.Export != nil:
		f = exportForm
		if json.Unmarshal(object.Product, &f.settings, lenient) != nil {
			f.settings = nil
		}
	case object.Releases != nil && object.Tag == nil:
		f = apiForm
	default:
		return gitHubForm, []jsontext.Value{text}, nil
	}
	if kind := object.Releases.Kind(); kind != '[' {
		return f, nil, fmt.Errorf("the file has no array of releases: %s", expected)
	}
	return f, entries, json.Unmarshal(object.Releases, &entries, lenient)
}

// syntaxError explains an error about a text that is not JSON.
func syntaxError(text []byte, err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the file is truncated: download it again: %w", io.ErrUnexpectedEOF)
	case bytes.HasPrefix(text, []byte("<")):
		return errors.New("it is a web page, for example a sign-in page: " + expected)
	case errors.As(err, &syntax) && bytes.HasPrefix(text, []byte("[")):
		return fmt.Errorf("not valid JSON: %s: combine several pages with jq -s add", strings.TrimPrefix(syntax.Error(), "jsontext: "))
	case errors.As(err, &syntax):
		return fmt.Errorf("not valid JSON: %s: %s", strings.TrimPrefix(syntax.Error(), "jsontext: "), expected)
	}
	return err
}

// read parses the entries of a list.
func (f form) read(entries []jsontext.Value) (catalog.List, error) {
	l := newListReader(f)
	for _, raw := range entries {
		l.add(raw)
	}
	return l.list()
}

// listReader reads a list, entry by entry.
type listReader struct {
	form
	read    catalog.List
	drafts  []catalog.Entry
	numbers map[string]int // numbers of the entries, by tag
	entries int
}

func newListReader(f form) *listReader {
	return &listReader{form: f, read: catalog.List{Name: "file", Whole: f.whole}, numbers: map[string]int{}}
}

// add parses an entry.
func (l *listReader) add(raw jsontext.Value) {
	l.entries++
	e, skippedFiles, err := l.parse(raw)
	if err == nil && e.Draft {
		l.drafts = append(l.drafts, e)
		return
	}
	tag := e.Tag
	if tag == "" {
		tag = tagOf(raw, l.tagKey)
	}
	if err == nil {
		err = catalog.CheckTag(tag)
	}
	if first := l.numbers[tag]; err == nil && first != 0 {
		err = fmt.Errorf("has the same tag as entry %d", first)
	}
	where := fmt.Sprintf("entry %d", l.entries)
	if tag != "" {
		where += fmt.Sprintf(" (tag %s)", quote(tag))
	}
	if err != nil {
		l.read.Skipped = append(l.read.Skipped, where+": "+err.Error())
		if catalog.CheckTag(tag) == nil {
			l.read.Unread = append(l.read.Unread, tag)
		}
		return
	}
	for _, skipped := range skippedFiles {
		l.read.Skipped = append(l.read.Skipped, "a file of "+where+": "+skipped)
	}
	l.numbers[tag] = l.entries
	l.read.Entries = append(l.read.Entries, e)
}

// list returns the list after the last entry.
func (l *listReader) list() (catalog.List, error) {
	list := l.read
	list.Settings = l.settings
	if l.entries > 0 && len(list.Entries) == 0 && len(l.drafts) == 0 {
		return catalog.List{}, noneValid(list.Skipped)
	}
	for _, tag := range list.Unread {
		l.numbers[tag] = -1
	}
	for _, e := range l.drafts { // several drafts may have the tag of a published release
		if l.numbers[e.Tag] == 0 && catalog.CheckTag(e.Tag) == nil {
			l.numbers[e.Tag] = -1
			list.Entries = append(list.Entries, e)
		}
	}
	return list, nil
}

func noneValid(skipped []string) error {
	const maxShown = 20
	if more := len(skipped) - maxShown; more > 0 {
		skipped = append(skipped[:maxShown:maxShown], fmt.Sprintf("more invalid entries: %d", more))
	}
	return errors.New(strings.Join(skipped, "\n"))
}

// tagOf returns an entry's tag even if the rest of the entry cannot be read.
func tagOf(raw jsontext.Value, key string) string {
	var e map[string]jsontext.Value
	var tag string
	if json.Unmarshal(raw, &e, lenient) == nil && e[key].Kind() == '"' {
		json.Unmarshal(e[key], &tag, lenient)
	}
	return tag
}
