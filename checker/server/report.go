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
	"relcheck/checker/server/inbound"
)

const (
	maxBody  = 16 << 10 // bytes
	maxDepth = 32       // of arrays and objects inside one another
)

// report answers POST /v1/version: it records what one process says of itself
// and tells it the latest release.
func (s *Server) report(w http.ResponseWriter, r *http.Request, _ identity) error {
	name := r.PathValue("product")
	if name == "" {
		name = DefaultProduct
	}
	p := s.snapshot.Load().products.find(name)
	if p == nil {
		return unknownProduct(name)
	}
	report, err := readReport(r)
	if err != nil {
		return err
	}
	inbound.Received(r.Context())
	_, from := checker.ParseUserAgent(r.UserAgent())
	from = from.OrOther()
	release, key := p.find(report.Version)
	offer, verdict := p.judge(release, key)
	answer := offer.answer(from, verdict)
	if s.mayRecord(w, r, p, kindReport) {
		report.Version = s.countedVersion(r, p, report.Version, release.published(report.Version), from)
		if err := s.store.Record(r.Context(), name, from, &report); err != nil {
			return notRecorded(err, answer)
		}
		s.metrics.recorded.Inc()
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// notRecorded says why a report was not stored, without the store's own words,
// and what the latest release is all the same.
func notRecorded(err error, answer []byte) error {
	f := fail(http.StatusServiceUnavailable, "not_recorded", "", "the report could not be recorded; send it again later")
	f.retryAfter = 5
	var full interface{ DiskFull() bool }
	var busy interface{ Busy() bool }
	switch {
	case errors.As(err, &busy) && busy.Busy():
		f.code, f.message = "busy", "too many reports come in just now; send it again later"
	case errors.As(err, &full) && full.DiskFull():
		f = fail(http.StatusInsufficientStorage, "disk_full", "", "the service has no space left to record reports; send it again later")
		f.retryAfter = 60
	}
	f.latest = latestOf(answer)
	return f
}

// latestOf returns the object in an encoded answer, {"latest":{…}}\n.
func latestOf(answer []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimPrefix(answer, []byte(`{"latest":`)), []byte("}\n"))
}

// decoder is what it takes to read one body; a pool keeps them.
type decoder struct {
	body  bytes.Buffer
	limit io.LimitedReader
	json  jsontext.Decoder
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

func readReport(r *http.Request) (checker.Report, error) {
	if err := checkType(r.Header); err != nil {
		return checker.Report{}, err
	}
	if r.ContentLength > maxBody {
		return checker.Report{}, tooLarge()
	}
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	if err := d.read(r.Body); err != nil {
		return checker.Report{}, err
	}
	return d.report()
}

func (d *decoder) read(body io.Reader) error {
	d.body.Reset()
	d.limit = io.LimitedReader{R: body, N: maxBody + 1}
	n, err := d.body.ReadFrom(&d.limit)
	d.limit.R = nil
	switch {
	case err != nil:
		return fail(http.StatusBadRequest, "incomplete_body", "", "the body ended early, or came too slowly")
	case n > maxBody:
		return tooLarge()
	}
	return nil
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

// report decodes the body. Unknown keys may hold anything that is JSON.
func (d *decoder) report() (checker.Report, error) {
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
		return r, invalid("version", "is missing; send the version that is running")
	}
	return r, nil
}

// member reads a key and its value. What is read is good until the next reading,
// and of all of it only the version is copied.
func (d *decoder) member(r *checker.Report) error {
	name, err := d.json.ReadValue()
	if err != nil {
		return notJSON(err)
	}
	take := (func(*checker.Report, jsontext.Value) error)(nil)
	switch string(unquote(name)) {
	case "id":
		take = takeID
	case "version":
		take = takeVersion
	case "heap_usage_bytes":
		take = takeHeap
	default:
		return d.skip()
	}
	if k := d.json.PeekKind(); k == '{' || k == '[' {
		return take(r, nil)
	}
	value, err := d.json.ReadValue()
	if err != nil {
		return notJSON(err)
	}
	return take(r, value)
}

// unquote returns what a string in JSON says. That is what it holds, unless there
// are escapes in it.
func unquote(v jsontext.Value) []byte {
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1]
	}
	text, err := jsontext.AppendUnquote(nil, v)
	_ = err // it was read as a string
	return text
}

func takeID(r *checker.Report, v jsontext.Value) error {
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

func takeVersion(r *checker.Report, v jsontext.Value) error {
	if v.Kind() == '"' {
		r.Version = string(unquote(v))
	}
	if !checker.ValidVersion(r.Version) {
		return invalid("version", "must be a string of 1 to 80 characters of 0-9 A-Z a-z . + _ -")
	}
	return nil
}

func takeHeap(r *checker.Report, v jsontext.Value) error {
	digits := []byte(v)
	if v.Kind() == '"' {
		digits = unquote(v)
	}
	n, ok := parseHeap(string(digits))
	if !ok {
		return invalid("heap_usage_bytes", "must be a whole number of bytes from 0 to 9223372036854775807, as a string or a number; leave it out if it is not known")
	}
	r.HeapUsageBytes = &n
	return nil
}

// parseHeap reads decimal digits; ParseInt would take a sign as well.
func parseHeap(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && s[0] != '+' && s[0] != '-'
}

// skip passes over a value of any type.
func (d *decoder) skip() error {
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

func notJSON(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return fail(http.StatusBadRequest, "invalid_json", "", "a key stands in the body twice; send each once")
	}
	return fail(http.StatusBadRequest, "invalid_json", "", "the body is not valid JSON in UTF-8")
}
