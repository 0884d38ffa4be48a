package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"relcheck/checker/access"
	"relcheck/checker/printable"
)

type failure struct {
	status     int
	retryAfter int             // seconds; 0 leaves the header out
	latest     json.RawMessage // the latest release, which the client gets despite the error

	code, field, message string
	scope                access.Scope // that a token lacks, if that is the error
	forPrograms          bool         // the message is of no use to people
}

func (f *failure) Error() string { return f.message }

// fail returns an error with a machine-readable code, the name of the field or parameter
// that is wrong, if any, and a message that says what to change.
func fail(status int, code, field, message string) *failure {
	return &failure{status: status, code: code, field: field, message: message}
}

// failureOf returns the failure that err is or wraps, or else one that does not show
// the text of err.
func failureOf(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return internal()
}

func internal() *failure {
	return fail(http.StatusInternalServerError, "internal", "", "internal error; try again later")
}

func unavailable(code, message string) *failure {
	return &failure{status: http.StatusServiceUnavailable, retryAfter: 5, code: code, message: message}
}

// suggest advises to use the known word that is probably meant by another, or else any of them.
func suggest(word string, known []string) string {
	if found := printable.Nearest(word, known); found != "" {
		return "did you mean " + found + "?"
	}
	return "use one of " + strings.Join(known, ", ")
}

// bodyTooLarge returns the failure of a request whose body is larger than its limit, or nil.
func bodyTooLarge(err error) error {
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fail(http.StatusRequestEntityTooLarge, "too_large", "", fmt.Sprintf("the body is larger than %d KB", e.Limit>>10))
	}
	return nil
}

// unreadableForm returns the failure of a request whose form could not be parsed.
func unreadableForm(err error) error {
	if f := bodyTooLarge(err); f != nil {
		return f
	}
	return fail(http.StatusBadRequest, "invalid_form", "", "the form could not be read: send it again")
}

// problem is a failure as clients see it.
type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
}

func (f *failure) problem() problem { return problem{f.code, f.message, f.field} }

// writeError sends an error as JSON: {"error": {"code", "message", "field"}}.
func writeError(w http.ResponseWriter, f *failure) {
	body := struct {
		Error  problem         `json:"error"`
		Latest json.RawMessage `json:"latest,omitempty"`
	}{f.problem(), f.latest}
	f.setRetryAfter(w.Header())
	writeJSON(w, f.status, encode(body))
}

func (f *failure) setRetryAfter(h http.Header) {
	if f.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(f.retryAfter))
	}
}

var (
	jsonType = []string{"application/json"}
	noSniff  = []string{"nosniff"}
)

// writeJSON sends an encoded body. It assigns header values directly, because it answers
// every report.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["X-Content-Type-Options"] = noSniff
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body) // an error means that the client has closed the connection
}

func (s *Server) product(name string) (*product, error) {
	if p := s.snapshot.Load().products.get(name); p != nil {
		return p, nil
	}
	return nil, unknownProduct(name)
}

// channel returns a product and one of its channels. If named is true, the channel must not
// be empty.
func (s *snapshot) channel(product, channel string, named bool) (*product, *channel, error) {
	p := s.products.get(product)
	if p == nil {
		return nil, nil, unknownProduct(product)
	}
	c := p.channels[channel]
	if c == nil || named && channel == "" {
		return p, nil, fail(http.StatusNotFound, "unknown_channel", "", fmt.Sprintf("product %s has no channel %q: %s", product, channel, p.channelNames()))
	}
	return p, c, nil
}

// channelNames describes the channels that the product has.
func (p *product) channelNames() string {
	names := slices.Sorted(maps.Keys(p.channels))[1:] // without the default one
	if len(names) == 0 {
		return "it has none"
	}
	return "it has " + strings.Join(names, ", ")
}

func unknownProduct(name string) *failure {
	return fail(http.StatusNotFound, "unknown_product", "", fmt.Sprintf("there is no product %q", name))
}
