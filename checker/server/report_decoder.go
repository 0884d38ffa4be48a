package server

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/useragent"
)

const (
	maxBody     = 16 << 10 // bytes
	maxDepth    = 32       // of nested arrays and objects
	maxPlatform = 64       // bytes of an operating system or an architecture
)

// reportDecoder decodes the body of a report: the fields of [checker.Report], and the
// optional fields os and arch of clients that cannot set their User-Agent. It is faster
// than unmarshaling: it copies only the texts, and is reused.
type reportDecoder struct {
	body   bytes.Buffer
	limit  io.LimitedReader
	json   jsontext.Decoder
	fields reportFields
}

type reportFields struct {
	checker.Report
	os, arch string // as the client spells them; empty if it did not send them
}

var reportDecoders = sync.Pool{New: func() any { return new(reportDecoder) }}

// readReport returns the report in a request, and the client's platform. The fields os and
// arch take precedence over the User-Agent, which fetch in browsers and many HTTP libraries
// set themselves.
func readReport(r *http.Request) (checker.Report, checker.Platform, error) {
	if err := checkType(r.Header); err != nil {
		return checker.Report{}, checker.Other, err
	}
	if r.ContentLength > maxBody {
		return checker.Report{}, checker.Other, tooLarge()
	}
	d := reportDecoders.Get().(*reportDecoder)
	defer reportDecoders.Put(d)
	if err := d.read(r.Body); err != nil {
		return checker.Report{}, checker.Other, err
	}
	if err := d.decode(); err != nil {
		return checker.Report{}, checker.Other, err
	}
	return d.fields.Report, useragent.Platform(r.UserAgent(), d.fields.os, d.fields.arch), nil
}

func (d *reportDecoder) read(body io.Reader) error {
	d.body.Reset()
	d.limit = io.LimitedReader{R: body, N: maxBody + 1}
	n, err := d.body.ReadFrom(&d.limit)
	d.limit.R = nil
	switch {
	case err != nil:
		return incompleteBody()
	case n > maxBody:
		return tooLarge()
	}
	return nil
}

func incompleteBody() *failure {
	return fail(http.StatusBadRequest, "incomplete_body", "", "the body ended early or arrived too slowly")
}

func tooLarge() error {
	return fail(http.StatusRequestEntityTooLarge, "too_large", "", "the body is larger than 16 KB; send id, version and heap_usage_bytes only")
}

func checkType(h http.Header) error {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return fail(http.StatusUnsupportedMediaType, "unsupported_encoding", "", "send the body without a Content-Encoding")
	}
	t := h.Get("Content-Type")
	if t == "application/json" || t == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(t)
	charset := params["charset"]
	if err != nil || media != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return fail(http.StatusUnsupportedMediaType, "unsupported_type", "", "send the body with Content-Type: application/json")
	}
	return nil
}

// decode decodes the body. It ignores unknown keys.
func (d *reportDecoder) decode() error {
	d.fields = reportFields{}
	d.json.Reset(&d.body)
	t, err := d.json.ReadToken()
	if err != nil {
		return notJSON(err)
	}
	if t.Kind() != '{' {
		return fail(http.StatusBadRequest, "invalid_json", "", `the body must be a JSON object with "id" and "version"`)
	}
	for d.json.PeekKind() != '}' {
		if err := d.member(); err != nil {
			return err
		}
	}
	if _, err := d.json.ReadToken(); err != nil {
		return notJSON(err)
	}
	if _, err := d.json.ReadToken(); err != io.EOF {
		return fail(http.StatusBadRequest, "invalid_json", "", "send one JSON object and nothing after it")
	}
	if d.fields.ID == uuid.Nil && d.fields.Last == checker.CannotRemember {
		return invalid("id", "is missing; send a version 4 UUID")
	}
	if d.fields.Version == "" {
		return invalid("version", "is missing; send the version of the program")
	}
	return nil
}

// member decodes a key and its value. The values of [jsontext.Decoder] are valid until
// the next call only.
func (d *reportDecoder) member() error {
	name, err := d.json.ReadValue()
	if err != nil {
		return notJSON(err)
	}
	set := (func(*reportFields, jsontext.Value) error)(nil)
	switch string(unquote(name)) {
	case "id":
		set = setID
	case "version":
		set = setVersion
	case "heap_usage_bytes":
		set = setHeap
	case "last":
		set = setLast
	case "os":
		set = setOS
	case "arch":
		set = setArch
	default:
		return d.skip()
	}
	if k := d.json.PeekKind(); k == '{' || k == '[' {
		if err := set(&d.fields, nil); err != nil {
			return err
		}
		return d.skip()
	}
	value, err := d.json.ReadValue()
	if err != nil {
		return notJSON(err)
	}
	return set(&d.fields, value)
}

// unquote returns the value of a JSON string. It copies only strings with escapes.
func unquote(v jsontext.Value) []byte {
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1]
	}
	text, err := jsontext.AppendUnquote(nil, v)
	_ = err // the decoder has accepted it
	return text
}

func setID(r *reportFields, v jsontext.Value) error {
	if v.Kind() == '"' {
		text := unquote(v)
		id, err := uuid.ParseBytes(text)
		if len(text) == 36 && err == nil && id.Version() == 4 && id.Variant() == uuid.RFC4122 {
			r.ID = id
			return nil
		}
	}
	return invalid("id", "must be a version 4 UUID of 36 characters, such as 08c1d850-6065-478a-b9b5-a8f9f464ad33")
}

func setVersion(r *reportFields, v jsontext.Value) error {
	if v.Kind() == '"' {
		r.Version = string(unquote(v))
	}
	if !checker.ValidVersion(r.Version) {
		return invalid("version", "must be a string of 1 to 80 characters of 0-9 A-Z a-z . + _ -")
	}
	return nil
}

// setHeap accepts null, which clients in other languages send if they do not know the heap
// usage.
func setHeap(r *reportFields, v jsontext.Value) error {
	if v.Kind() == 'n' {
		return nil
	}
	digits := []byte(v)
	if v.Kind() == '"' {
		digits = unquote(v)
	}
	n, ok := parseHeap(string(digits))
	if !ok {
		return invalid("heap_usage_bytes", "must be a whole number of bytes from 0 to 9223372036854775807, as a string or a number; leave it out if unknown")
	}
	r.HeapUsageBytes = &n
	return nil
}

// setLast accepts all values. The report is counted without what is not a day or null.
func setLast(r *reportFields, v jsontext.Value) error {
	switch v.Kind() {
	case 'n':
		r.Last = checker.NeverAnswered
	case '"':
		r.Last, _ = checker.ParseLast(string(unquote(v)))
	default:
		r.Last = checker.UnusableLast
	}
	return nil
}

func setOS(r *reportFields, v jsontext.Value) (err error) {
	r.os, err = platformName("os", v)
	return err
}

func setArch(r *reportFields, v jsontext.Value) (err error) {
	r.arch, err = platformName("arch", v)
	return err
}

// platformName returns the value of the field os or arch, and "" for null.
func platformName(field string, v jsontext.Value) (string, error) {
	switch v.Kind() {
	case 'n':
		return "", nil
	case '"':
		if name := unquote(v); len(name) <= maxPlatform {
			return string(name), nil
		}
	}
	return "", invalid(field, "must be a string of at most 64 bytes, such as linux or amd64; leave it out if unknown")
}

// parseHeap parses decimal digits. It accepts no sign, unlike ParseInt.
func parseHeap(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && s[0] != '+' && s[0] != '-'
}

// skip skips a value of any type.
func (d *reportDecoder) skip() error {
	depth := d.json.StackDepth()
	for {
		if _, err := d.json.ReadToken(); err != nil {
			return notJSON(err)
		}
		switch now := d.json.StackDepth(); {
		case now == depth:
			return nil
		case now > maxDepth:
			return fail(http.StatusBadRequest, "invalid_json", "", "the body is nested too deeply; send one flat JSON object")
		}
	}
}

func invalid(field, message string) error {
	return fail(http.StatusBadRequest, "invalid_field", field, field+" "+message)
}

const duplicateKey = "duplicate key in the body; send each key once"

func notJSON(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return fail(http.StatusBadRequest, "invalid_json", "", duplicateKey)
	}
	return fail(http.StatusBadRequest, "invalid_json", "", "the body is not valid JSON in UTF-8")
}
