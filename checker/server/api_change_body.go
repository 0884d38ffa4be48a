package server

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker/catalog"
)

// maxPatch is the size of the largest body of a change, in bytes: a release with a file
// for each platform, at long URLs.
const maxPatch = 64 << 10

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
		Date       nonNull[string]             `json:"date"`
		Notes      nonNull[string]             `json:"notes"`
		Prerelease nonNull[bool]               `json:"prerelease"`
		Withdrawn  nonNull[bool]               `json:"withdrawn"`
		Assets     nonNull[map[string]*string] `json:"assets"` // null removes a file
	}
	if err := readPatch(r, &body, "assets, date, notes, prerelease, withdrawn"); err != nil {
		return p, err
	}
	p.Prerelease, p.Withdrawn = body.Prerelease.value, body.Withdrawn.value
	if body.Date.value != nil {
		err = p.SetDate(*body.Date.value)
	}
	if err == nil && body.Notes.value != nil {
		err = p.SetNotes(*body.Notes.value)
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
	return p, invalidField(err)
}

func readProduct(r *http.Request) (catalog.ProductPatch, error) {
	var body struct {
		Title    nonNull[string]            `json:"title"`
		Repo     nonNull[string]            `json:"repo"`
		Module   nonNull[string]            `json:"module"`
		Download nonNull[string]            `json:"download"`
		Notes    nonNull[string]            `json:"notes"`
		Origins  nonNull[[]nonNull[string]] `json:"origins"`
	}
	if err := readPatch(r, &body, "download, module, notes, origins, repo, title"); err != nil {
		return nil, err
	}
	p := catalog.ProductPatch{}
	for name, field := range map[string]nonNull[string]{"title": body.Title, "repo": body.Repo, "module": body.Module, "download": body.Download, "notes": body.Notes} {
		if field.value != nil {
			p[name] = *field.value
		}
	}
	if body.Origins.value != nil {
		var list strings.Builder
		for _, origin := range *body.Origins.value {
			list.WriteString(*origin.value + " ")
		}
		p["origins"] = list.String()
	}
	return p, nil
}

// readPatch decodes the body of a request. It refuses unknown fields, because a change
// with a misspelled name would be ignored; fields lists the known ones.
func readPatch(r *http.Request, into any, fields string) error {
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
		return fail(http.StatusBadRequest, "unknown_field", firstToken(semantic.JSONPointer), "unknown field; use one of "+fields)
	case errors.As(err, &syntactic) || !errors.As(err, &semantic):
		return notJSON(err)
	}
	field := firstToken(semantic.JSONPointer)
	return invalid(field, "must be "+cmp.Or(patchTypes[field], "a string")+"; leave it out to keep its value")
}

// patchTypes describes the fields that are not strings.
var patchTypes = map[string]string{
	"prerelease": "true or false",
	"withdrawn":  "true or false",
	"assets":     `an object such as {"linux/amd64": "https://example.com/file"}`,
	"origins":    `an array of strings such as ["https://app.example.com"]`,
}

// firstToken returns the first part of a pointer: the name of a field, of which it returns
// 50 characters at most.
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
	tooLarge := fail(http.StatusRequestEntityTooLarge, "too_large", "", fmt.Sprintf("the body is larger than %d KB", maxPatch>>10))
	if r.ContentLength > maxPatch {
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPatch+1))
	switch {
	case err != nil:
		return nil, incompleteBody()
	case len(body) > maxPatch:
		return nil, tooLarge
	}
	return body, nil
}
