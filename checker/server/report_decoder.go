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
)

const (
	maxBody  = 16 << 10 // bytes
	maxDepth = 32       // of nested arrays and objects
)

// reportDecoder decodes the body of a report. It is faster than unmarshaling: it copies
// only the version, and is reused.
type reportDecoder struct {
	body  bytes.Buffer
	limit io.LimitedReader
	json  jsontext.Decoder
}

var reportDecoders = sync.Pool{New: func() any { return new(reportDecoder) }}

func readReport(r *http.Request) (checker.Report, error) {
	if err := checkType(r.Header); err != nil {
		return checker.Report{}, err
	}
	if r.ContentLength > maxBody {
		return checker.Report{}, tooLarge()
	}
	d := reportDecoders.Get().(*reportDecoder)
	defer reportDecoders.Put(d)
	if err := d.read(r.Body); err != nil {
		return checker.Report{}, err
	}
	return d.report()
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
	if h.Get("Content-Encoding") != "" {
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

// report decodes the body. It ignores unknown keys.
func (d *reportDecoder) report() (checker.Report, error) {
	var r checker.Report
	d.json.Reset(&d.body)
	t, err := d.json.ReadToken()
	if err != nil {
		return r, notJSON(err)
	}
	if t.Kind() != '{' {
		return r, fail(http.StatusBadRequest, "invalid_json", "", `the body must be a JSON object with "id" and "version"`)
	}
	for d.json.PeekKind() != '}' {
		if err := d.member(&r); err != nil {
			return r, err
		}
	}
	if _, err := d.json.ReadToken(); err != nil {
		return r, notJSON(err)
	}
	if _, err := d.json.ReadToken(); err != io.EOF {
		return r, fail(http.StatusBadRequest, "invalid_json", "", "send one JSON object and nothing after it")
	}
	if r.ID == uuid.Nil {
		return r, invalid("id", "is missing; send a version 4 UUID")
	}
	if r.Version == "" {
		return r, invalid("version", "is missing; send the version of the program")
	}
	return r, nil
}

// member decodes a key and its value. The values of [jsontext.Decoder] are valid until
// the next call only.
func (d *reportDecoder) member(r *checker.Report) error {
	name, err := d.json.ReadValue()
	if err != nil {
		return notJSON(err)
	}
	set := (func(*checker.Report, jsontext.Value) error)(nil)
	switch string(unquote(name)) {
	case "id":
		set = setID
	case "version":
		set = setVersion
	case "heap_usage_bytes":
		set = setHeap
	default:
		return d.skip()
	}
	if k := d.json.PeekKind(); k == '{' || k == '[' {
		return set(r, nil)
	}
	value, err := d.json.ReadValue()
	if err != nil {
		return notJSON(err)
	}
	return set(r, value)
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

func setID(r *checker.Report, v jsontext.Value) error {
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

func setVersion(r *checker.Report, v jsontext.Value) error {
	if v.Kind() == '"' {
		r.Version = string(unquote(v))
	}
	if !checker.ValidVersion(r.Version) {
		return invalid("version", "must be a string of 1 to 80 characters of 0-9 A-Z a-z . + _ -")
	}
	return nil
}

func setHeap(r *checker.Report, v jsontext.Value) error {
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
