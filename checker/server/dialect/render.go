package dialect

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"relcheck/checker/printable"
)

// Render renders the answer completely and checks that it has its content type. It returns
// an error that wraps [ErrNotFound] if the answer is 404. Other errors are mistakes of the template; they do
// not contain values of the request.
func (d *Dialect) Render(m *Model, q *Request) (*Answer, error) {
	a, err := d.render(m, q)
	if d.notFound != nil && errors.Is(err, ErrNotFound) {
		return d.notFound, nil
	}
	return a, err
}

func (d *Dialect) render(m *Model, q *Request) (*Answer, error) {
	v := &view{m: m, q: q, Vars: make(map[string]string, len(d.names))}
	for _, name := range d.names {
		v.Vars[name] = q.Vars.Get(name)
	}
	var header [][2]string
	for _, h := range d.header {
		value := limited{left: 8 << 10}
		if err := h.value.Execute(&value, v); err != nil {
			return nil, renderError(err)
		}
		text := strings.TrimSpace(value.String())
		if !httpguts.ValidHeaderFieldValue(text) {
			return nil, fmt.Errorf("header %s is not valid", h.name)
		}
		if h.name == "Location" && printable.CheckLink(text) != nil {
			return nil, errors.New("location is not an absolute link")
		}
		header = append(header, [2]string{h.name, text})
	}
	if d.body == nil {
		return d.answer(header, nil), nil
	}
	body := limited{left: d.limit}
	if err := d.body.Execute(&body, v); err != nil {
		return nil, renderError(err)
	}
	if err := d.format.valid(body.Bytes()); err != nil {
		return nil, &invalidError{d.contentType, err.Error(), body.Bytes()}
	}
	return d.answer(header, body.Bytes()), nil
}

// renderError returns an error with the line of the file, if it is about one.
func renderError(err error) error {
	if errors.Is(err, errTooLong) {
		return errTooLong
	}
	return templateError(err)
}

// invalidError means that a rendered answer does not have its content type. Its text does
// not contain the answer, which may contain values of the request.
type invalidError struct {
	contentType, detail string
	body                []byte
}

func (e *invalidError) Error() string { return "the answer is not valid " + e.contentType }

func (d *Dialect) answer(header [][2]string, body []byte) *Answer {
	a := &Answer{Status: d.status, Header: header, Body: body, Reusable: !d.usesNow}
	if d.status == http.StatusOK {
		a.Header = append([][2]string{{"Content-Type", d.contentType}}, header...)
	}
	return a
}

// Key returns what an answer depends on besides the model and [Request.Base]: the values
// that the template uses.
func (d *Dialect) Key(q *Request) string {
	if len(d.keyVars) == 0 && !d.usesCaller {
		return ""
	}
	var b strings.Builder
	for _, name := range d.keyVars {
		b.WriteString(q.Vars.Get(name) + "\x00")
	}
	if d.usesCaller {
		b.WriteString(q.Caller.Version + "\x00" + q.Caller.Platform.String())
	}
	return b.String()
}

var errTooLong = errors.New("the answer exceeds its limit: raise it with limit, or list less")

// limited is a buffer that refuses to grow over a limit.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errTooLong
	}
	return l.Buffer.Write(p)
}
