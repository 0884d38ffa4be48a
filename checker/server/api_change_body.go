package server

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker/catalog"
	"relcheck/checker/upstream"
)

// maxPatch is the size of the largest body of a change, in bytes: the longest release
// notes, with every character escaped, and hundreds of files.
const maxPatch = 1 << 20

// nonNull is a member of an object that may be left out, but not null.
type nonNull[T any] struct{ value *T }

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (n *nonNull[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == 'n' {
		return errors.New("null")
	}
	n.value = new(T)
	return json.UnmarshalDecode(d, n.value)
}

func readRelease(r *http.Request) (p catalog.ReleasePatch, err error) {
	var body struct {
		Title      nonNull[string]             `json:"title"`
		Date       nonNull[string]             `json:"date"`
		Notes      nonNull[string]             `json:"notes"`
		Body       nonNull[string]             `json:"body"`
		Prerelease nonNull[bool]               `json:"prerelease"`
		Withdrawn  nonNull[bool]               `json:"withdrawn"`
		Assets     nonNull[map[string]*string] `json:"assets"` // null removes a file
		Files      nonNull[[]patchFile]        `json:"files"`
		Checksums  nonNull[string]             `json:"checksums"` // text of a checksum file
	}
	if err := readPatch(r, &body, "assets", "body", "checksums", "date", "files", "notes", "prerelease", "title", "withdrawn"); err != nil {
		return p, err
	}
	if body.Prerelease.value != nil {
		p.SetPrerelease(*body.Prerelease.value)
	}
	if body.Withdrawn.value != nil {
		p.SetWithdrawn(*body.Withdrawn.value)
	}
	for _, text := range []struct {
		value *string
		set   func(string) error
	}{{body.Title.value, p.SetTitle}, {body.Date.value, p.SetDate}, {body.Notes.value, p.SetNotes}, {body.Body.value, p.SetText}} {
		if err == nil && text.value != nil {
			err = text.set(*text.value)
		}
	}
	if body.Assets.value != nil {
		for _, platform := range slices.Sorted(maps.Keys(*body.Assets.value)) {
			url := (*body.Assets.value)[platform]
			switch {
			case err != nil:
			case url == nil:
				err = p.RemoveAsset(platform)
			default:
				err = p.SetAsset(platform, *url)
			}
		}
	}
	var files []catalog.File // after the assets, which they may describe
	if body.Files.value != nil {
		for _, f := range *body.Files.value {
			files = append(files, catalog.File{Name: f.Name, URL: f.URL, Size: f.Size, SHA256: f.SHA256, SHA512: f.SHA512, MediaType: f.MediaType})
		}
	}
	for _, f := range files {
		if err == nil {
			err = p.SetFile(f)
		}
	}
	if err == nil && body.Checksums.value != nil {
		err = upstream.SetChecksums(&p, *body.Checksums.value)
	}
	return p, invalidField(err)
}

// patchFile is a file in the body of a change of a release. The name determines the
// platform. Fields that are empty keep their values.
type patchFile struct {
	Name      string `json:"name"`
	URL       string `json:"url"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	SHA512    string `json:"sha512"`
	MediaType string `json:"media_type"`
}

func readProduct(r *http.Request) (catalog.ProductPatch, error) {
	var body struct {
		Name     nonNull[string] `json:"name"` // as in an answer; it cannot be changed
		Title    nonNull[string] `json:"title"`
		Repo     nonNull[string] `json:"repo"`
		Module   nonNull[string] `json:"module"`
		Download nonNull[string] `json:"download"`
		Notes    nonNull[string] `json:"notes"`
		File     nonNull[string] `json:"file"`

		ReleaseSuffix nonNull[string]                `json:"release_suffix"`
		Match         nonNull[string]                `json:"match"`
		MinAge        nonNull[string]                `json:"min_age"`
		RequireFiles  nonNull[bool]                  `json:"require_files"`
		Origins       nonNull[[]nonNull[string]]     `json:"origins"`
		TagPrefixes   nonNull[[]nonNull[string]]     `json:"tag_prefixes"`
		Channels      nonNull[[]nonNull[apiChannel]] `json:"channels"`
		Upstreams     nonNull[[]nonNull[string]]     `json:"upstreams"`
		NotesHere     nonNull[bool]                  `json:"notes_here"`
		Links         nonNull[string]                `json:"links"`
		Aliases       nonNull[[]nonNull[string]]     `json:"aliases"`
		Hosts         nonNull[[]nonNull[string]]     `json:"hosts"`
		Dialects      nonNull[[]nonNull[string]]     `json:"dialects"`
		Hidden        nonNull[bool]                  `json:"hidden"`
	}
	if err := readPatch(r, &body, slices.Sorted(slices.Values(catalog.ProductFields))...); err != nil {
		return nil, err
	}
	if name := body.Name.value; name != nil && *name != r.PathValue("product") {
		return nil, invalid("name", "is not the product in the URL: leave it out, because the name of a product cannot be changed")
	}
	p := catalog.ProductPatch{}
	for name, field := range map[string]nonNull[string]{"title": body.Title, "repo": body.Repo, "module": body.Module, "download": body.Download, "notes": body.Notes,
		"file": body.File, "release_suffix": body.ReleaseSuffix, "match": body.Match, "min_age": body.MinAge, "links": body.Links} {
		if field.value != nil {
			p[name] = *field.value
		}
	}
	for name, list := range map[string]nonNull[[]nonNull[string]]{"origins": body.Origins, "tag_prefixes": body.TagPrefixes, "upstreams": body.Upstreams,
		"aliases": body.Aliases, "hosts": body.Hosts, "dialects": body.Dialects} {
		if list.value != nil {
			var all strings.Builder
			for _, item := range *list.value {
				if *item.value == "" || strings.ContainsFunc(*item.value, unicode.IsSpace) {
					return nil, invalid(name, fmt.Sprintf("contains %.100q, which is empty or contains a space", *item.value))
				}
				all.WriteString(*item.value + " ")
			}
			p[name] = all.String()
		}
	}
	for name, flag := range map[string]nonNull[bool]{"require_files": body.RequireFiles, "notes_here": body.NotesHere, "hidden": body.Hidden} {
		if flag.value != nil {
			p[name] = strconv.FormatBool(*flag.value)
		}
	}
	if body.Channels.value != nil {
		var channels []catalog.Channel
		for _, item := range *body.Channels.value {
			c := catalog.Channel(*item.value)
			if m := (*catalog.FieldError)(nil); errors.As(c.Check(), &m) {
				return nil, invalid("channels", "contains an invalid channel: "+m.Error())
			}
			channels = append(channels, c)
		}
		p["channels"] = catalog.FormatChannels(channels)
	}
	return p, nil
}

// readPatch decodes the body of a request. It refuses unknown fields, because a change
// with a misspelled name would be ignored; fields lists the known ones.
func readPatch(r *http.Request, into any, fields ...string) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if jsontext.Value(body).Kind() != '{' {
		return fail(http.StatusBadRequest, "invalid_json", "", "the body must be a JSON object; {} changes nothing")
	}
	err = json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	syntactic, semantic := (*jsontext.SyntacticError)(nil), (*json.SemanticError)(nil)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntactic):
		return fail(http.StatusBadRequest, "invalid_json", firstToken(syntactic.JSONPointer), duplicateKey)
	case errors.Is(err, json.ErrUnknownName) && errors.As(err, &semantic):
		return unknownField(semantic.JSONPointer, fields)
	case errors.As(err, &syntactic) || !errors.As(err, &semantic):
		return notJSON(err)
	}
	field := firstToken(semantic.JSONPointer)
	return invalid(field, "must be "+cmp.Or(patchTypes[field], "a string")+"; leave it out to keep its value"+below(semantic.JSONPointer))
}

// unknownField returns the failure of a body with a key that does not exist, at the top or in
// an object of a list.
func unknownField(at jsontext.Pointer, fields []string) error {
	field := firstToken(at)
	if at.Parent() != "" {
		fields = listKeys[field]
	}
	return fail(http.StatusBadRequest, "unknown_field", field, fmt.Sprintf("unknown field %.100q: %s", pathOf(at), suggest(at.LastToken(), fields)))
}

// listKeys are the keys of the objects in lists.
var listKeys = map[string][]string{"files": keysOf(reflect.TypeFor[patchFile]()), "channels": keysOf(reflect.TypeFor[apiChannel]())}

// keysOf returns the keys of a struct in JSON.
func keysOf(t reflect.Type) (keys []string) {
	for f := range t.Fields() {
		keys = append(keys, f.Tag.Get("json"))
	}
	return keys
}

// below says where in a field a mistake is, or nothing if it is the field itself.
func below(at jsontext.Pointer) string {
	if at.Parent() == "" {
		return ""
	}
	return fmt.Sprintf(" (at %.100q)", pathOf(at))
}

// pathOf formats a pointer as people do: files[0].name
func pathOf(at jsontext.Pointer) (path string) {
	for token := range at.Tokens() {
		switch _, err := strconv.Atoi(token); {
		case path == "":
			path = token
		case err == nil:
			path += "[" + token + "]"
		default:
			path += "." + token
		}
	}
	return path
}

// patchTypes describes the fields that are not strings.
var patchTypes = map[string]string{
	"prerelease": "true or false",
	"withdrawn":  "true or false",
	"assets":     `an object such as {"linux/amd64": "https://example.com/file"}`,
	"origins":    `an array of strings such as ["https://app.example.com"]`,
	"files":      `an array of objects such as {"name": "app-linux-amd64", "url": "https://example.com/app-linux-amd64"}`,

	"tag_prefixes":  `an array of strings such as ["cli/v"]`,
	"require_files": "true or false",
	"notes_here":    "true or false",
	"hidden":        "true or false",
	"upstreams":     `an array of strings such as ["github:owner/repo"]`,
	"aliases":       `an array of strings such as ["@me/app"]`,
	"hosts":         `an array of strings such as ["updates.example.com"]`,
	"dialects":      `an array of strings such as ["npm"]`,
	"channels":      `an array of objects such as {"name": "lts", "match": "<2"}`,
}

// firstToken returns the first part of a pointer: the name of a field, cut to 50
// characters.
func firstToken(p jsontext.Pointer) string {
	for name := range p.Tokens() {
		return fmt.Sprintf("%.50s", name)
	}
	return ""
}

func invalidField(err error) error {
	if f := (*catalog.FieldError)(nil); errors.As(err, &f) {
		return fail(http.StatusBadRequest, "invalid_field", f.Field, f.Error())
	}
	return err
}

func readBody(r *http.Request) ([]byte, error) {
	if err := checkType(r.Header); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxPatch))
	if f := bodyTooLarge(err); f != nil {
		return nil, f
	}
	if err != nil {
		return nil, incompleteBody()
	}
	return body, nil
}
