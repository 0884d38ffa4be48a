package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker/catalog"
	"relcheck/checker/server/inbound"
)

// maxEdit is the largest body that tells of a change, in bytes: a release with a
// file for each platform that there is, at long URLs.
const maxEdit = 64 << 10

// taking is what takes the value of one field, or returns what is wrong with it.
type taking func(jsontext.Value) error

// readRelease reads what a body says of a release.
func readRelease(r *http.Request) (e catalog.ReleasePatch, err error) {
	err = readObject(r, map[string]taking{
		"date":       text("date", e.SetDate),
		"notes":      text("notes", e.SetNotes),
		"prerelease": truth("prerelease", &e.Prerelease),
		"withdrawn":  truth("withdrawn", &e.Withdrawn),
		"assets":     func(v jsontext.Value) error { return takeAssets(&e, v) },
	})
	return e, err
}

// takeAssets reads URLs by platform. null takes one away.
func takeAssets(e *catalog.ReleasePatch, object jsontext.Value) error {
	if object.Kind() != '{' {
		return invalid("assets", `must be an object such as {"linux/amd64": "https://example.com/file"}`)
	}
	all, err := members(object)
	for _, m := range all {
		if err == nil && m.value.Kind() == 'n' {
			err = e.RemoveAsset(m.name)
		} else if err == nil {
			err = text("assets", func(url string) error { return e.SetAsset(m.name, url) })(m.value)
		}
	}
	return err
}

// readProduct reads what a body says of a product.
func readProduct(r *http.Request) (catalog.ProductPatch, error) {
	e, fields := catalog.ProductPatch{}, map[string]taking{}
	for name := range catalog.ProductFields(new(catalog.Product)) {
		fields[name] = text(name, func(value string) error { e[name] = value; return nil })
	}
	fields["origins"] = func(v jsontext.Value) (err error) {
		e["origins"], err = readOrigins(v)
		return err
	}
	err := readObject(r, fields)
	return e, err
}

// readOrigins reads an array of strings.
func readOrigins(v jsontext.Value) (string, error) {
	var all []*string
	if err := json.Unmarshal(v, &all); err != nil || v.Kind() != '[' || slices.Contains(all, nil) {
		return "", invalid("origins", `must be an array of strings such as ["https://app.example.com"]; leave it out if it is to stay`)
	}
	var list strings.Builder
	for _, origin := range all {
		list.WriteString(*origin + " ")
	}
	return list.String(), nil
}

// text takes a string.
func text(field string, take func(string) error) taking {
	return func(v jsontext.Value) error {
		if v.Kind() != '"' {
			return invalid(field, "must be a string; leave it out if it is to stay")
		}
		s, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return notJSON(err)
		}
		return take(string(s))
	}
}

// truth takes true or false.
func truth(field string, into **bool) taking {
	return func(v jsontext.Value) error {
		if v.Kind() != 't' && v.Kind() != 'f' {
			return invalid(field, "must be true or false; leave it out if it is to stay")
		}
		is := v.Kind() == 't'
		*into = &is
		return nil
	}
}

// readObject reads the JSON object that a request brings. A field that is not
// known is refused: what was misspelled would not be done, and nobody told.
func readObject(r *http.Request, fields map[string]taking) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	all, err := members(body)
	for _, m := range all {
		take := fields[m.name]
		if err == nil && take == nil {
			err = fail(http.StatusBadRequest, "unknown_field", fmt.Sprintf("%.50s", m.name),
				"there is no such field; there are "+strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		if err == nil {
			err = take(m.value)
		}
	}
	return mistaken(err)
}

// mistaken returns a mistake as a failure that names the field.
func mistaken(err error) error {
	if m := (*catalog.FieldError)(nil); errors.As(err, &m) {
		return fail(http.StatusBadRequest, "invalid_field", m.Field, m.Error())
	}
	return err
}

func readBody(r *http.Request) ([]byte, error) {
	if err := checkType(r.Header); err != nil {
		return nil, err
	}
	tooLarge := fail(http.StatusRequestEntityTooLarge, "too_large", "", fmt.Sprintf("the body is larger than %d KB", maxEdit>>10))
	if r.ContentLength > maxEdit {
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxEdit+1))
	switch {
	case err != nil:
		return nil, fail(http.StatusBadRequest, "incomplete_body", "", "the body ended early, or came too slowly")
	case len(body) > maxEdit:
		return nil, tooLarge
	}
	inbound.Received(r.Context())
	return body, nil
}

// pair is one member of an object.
type pair struct {
	name  string
	value jsontext.Value
}

// members returns those of the one object in text, in their order.
func members(text []byte) (all []pair, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	begin, err := d.ReadToken()
	switch {
	case err == io.EOF || err == nil && begin.Kind() != '{':
		return nil, fail(http.StatusBadRequest, "invalid_json", "", "the body must be a JSON object; {} changes nothing")
	case err != nil:
		return nil, twice(err)
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, twice(err)
		}
		p := pair{name: name.String()}
		value, err := d.ReadValue()
		if err != nil {
			return nil, twice(err)
		}
		p.value = value.Clone()
		all = append(all, p)
	}
	d.ReadToken() // the brace
	if _, err := d.ReadToken(); err != io.EOF {
		return nil, fail(http.StatusBadRequest, "invalid_json", "", "send one JSON object and nothing after it")
	}
	return all, nil
}

// twice names the field where the trouble is that it stands there twice.
func twice(err error) error {
	e := (*jsontext.SyntacticError)(nil)
	if !errors.As(err, &e) || !errors.Is(err, jsontext.ErrDuplicateName) {
		return notJSON(err)
	}
	for field := range e.JSONPointer.Tokens() {
		return fail(http.StatusBadRequest, "invalid_json", fmt.Sprintf("%.50s", field), "a key stands in the body twice; send each once")
	}
	return notJSON(err)
}
