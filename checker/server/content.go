package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"relcheck/checker/server/inbound"
)

// minCompressed is the size in bytes of the smallest body that is compressed.
const minCompressed = 1 << 10

// content is the body of a response as it is sent. Its memory is
// reserved, see [inbound.Reserve].
type content struct {
	body    []byte
	gzipped bool
}

// turns limits the number of bodies that are built at a time.
type turns chan struct{}

// atOnce is the number of pages, and of API responses, that are built at a time. Building
// thousands at a time would delay reports, and take memory that is not yet reserved.
const atOnce = 2

// take waits for its turn and calls f.
func (t turns) take(ctx context.Context, f func() error) error {
	select {
	case t <- struct{}{}:
		defer func() { <-t }() // even after a panic
	case <-ctx.Done():
		return busy()
	}
	return f()
}

// build waits for its turn, builds a body, and reserves memory for it.
func (t turns) build(r *http.Request, build func() (content, error)) (c content, err error) {
	if err := t.take(r.Context(), func() error {
		c, err = build()
		return err
	}); err != nil {
		return c, err
	}
	if cap(c.body) > len(c.body)*5/4 { // a growing buffer leaves spare capacity
		c.body = bytes.Clone(c.body)
	}
	return c, reserve(r, c.body)
}

func reserve(r *http.Request, body []byte) error {
	if inbound.Reserve(r.Context(), len(body)) {
		return nil
	}
	return unavailable("busy", "too many large responses are unread; try again in a moment")
}

func (c content) send(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	if c.gzipped {
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(c.body)))
	w.WriteHeader(status)
	inbound.WriteBody(r.Context(), w, c.body)
}

// sendJSON encodes and sends the body that build returns, which may be large.
func (s *Server) sendJSON(w http.ResponseWriter, r *http.Request, build func() any) error {
	c, err := s.encoding.build(r, func() (content, error) { return content{body: encode(build())}, nil })
	if err != nil {
		return err
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	h["X-Content-Type-Options"] = noSniff
	c.send(w, r, http.StatusOK)
	return nil
}

// keptContent is a body that is shared by many responses.
type keptContent struct{ plain, gzipped []byte }

func newKeptContent(plain []byte) *keptContent { return &keptContent{plain, compress(plain)} }

func (k *keptContent) size() int { return len(k.plain) + len(k.gzipped) }

// content returns the body in an encoding that the client accepts.
func (k *keptContent) content(r *http.Request) content {
	if acceptsGzip(r) {
		return content{k.gzipped, true}
	}
	return content{k.plain, false}
}

// gzipWriters are reused because each takes a megabyte.
var gzipWriters = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic(err) // impossible: the level is a constant
	}
	return z
}}

func compress(plain []byte) []byte {
	var b bytes.Buffer
	z := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(z)
	z.Reset(&b)
	z.Write(plain) // a buffer never returns an error
	z.Close()
	z.Reset(io.Discard) // do not keep the buffer in the pool
	return b.Bytes()
}

// zippedFor compresses a body if it is large enough and the client accepts gzip.
func zippedFor(r *http.Request, plain []byte) content {
	if len(plain) < minCompressed || !acceptsGzip(r) {
		return content{plain, false}
	}
	return content{compress(plain), true}
}

// acceptsGzip reports whether the client accepts gzip with a weight above 0.
func acceptsGzip(r *http.Request) bool {
	accepted := r.Header["Accept-Encoding"]
	if len(accepted) == 1 && accepted[0] == "gzip" { // as Go's client sends it
		return true
	}
	return weight(accepted, "gzip") > 0
}

// weight returns the weight of a value in the lines of a header such as Accept: from 0 to 1,
// and 0 if it is not listed.
func weight(lines []string, value string) float64 {
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		listed, parameters, _ := strings.Cut(strings.ToLower(strings.Join(strings.Fields(element), "")), ";")
		if listed != value {
			continue
		}
		for parameter := range strings.SplitSeq(parameters, ";") {
			if q, ok := strings.CutPrefix(parameter, "q="); ok {
				n, err := strconv.ParseFloat(q, 64)
				if err != nil {
					return 0
				}
				return n
			}
		}
		return 1
	}
	return 0
}
