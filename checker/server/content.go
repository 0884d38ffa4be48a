package server

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"relcheck/checker/server/inbound"
)

// minZipped is the size in bytes from which a body is compressed.
const minZipped = 1 << 10

// content is the body of a response as it is sent. Memory is reserved for it, see
// [inbound.Reserve].
type content struct {
	body   []byte
	zipped bool
}

// turns limits how many bodies are built at a time.
type turns chan struct{}

// atOnce is the number of pages, and of API responses, that are built at a time. Thousands
// would delay reports, and use memory before it is reserved.
const atOnce = 2

// build waits for a turn, builds a body and reserves memory for it.
func (t turns) build(r *http.Request, build func() (content, error)) (c content, err error) {
	select {
	case t <- struct{}{}:
		defer func() { <-t }() // also after a panic
	case <-r.Context().Done():
		return c, busy()
	}
	if c, err = build(); err != nil {
		return c, err
	}
	if cap(c.body) > len(c.body)*5/4 { // a growing buffer leaves spare capacity
		c.body = bytes.Clone(c.body)
	}
	return c, reserve(r, c.body)
}

// reserve reserves memory for a body.
func reserve(r *http.Request, body []byte) error {
	if inbound.Reserve(r.Context(), len(body)) {
		return nil
	}
	f := busy()
	f.message = "too many large responses are unread; try again in a moment"
	return f
}

// send sends the body.
func (c content) send(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	if c.zipped {
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(c.body)))
	w.WriteHeader(status)
	inbound.WriteBody(r.Context(), w, c.body)
}

// sendJSON sends the JSON that build returns, which may be large.
func (s *Server) sendJSON(w http.ResponseWriter, r *http.Request, build func() ([]byte, error)) error {
	c, err := s.encoding.build(r, func() (c content, err error) {
		c.body, err = build()
		return c, err
	})
	if err != nil {
		return err
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	h["X-Content-Type-Options"] = noSniff
	c.send(w, r, http.StatusOK)
	return nil
}

// keptContent is a body that many responses share.
type keptContent struct{ plain, zipped []byte }

func newKeptContent(plain []byte) *keptContent { return &keptContent{plain, zip(plain)} }

func (k *keptContent) size() int { return len(k.plain) + len(k.zipped) }

// content returns the body in an encoding that the client accepts.
func (k *keptContent) content(r *http.Request) content {
	if takesGzip(r) {
		return content{k.zipped, true}
	}
	return content{k.plain, false}
}

// zippers are reused because each takes a megabyte.
var zippers = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic(err) // of a constant
	}
	return z
}}

// zip compresses at the fastest level.
func zip(plain []byte) []byte {
	var b bytes.Buffer
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(&b)
	z.Write(plain) // writing to a buffer never fails
	z.Close()
	z.Reset(io.Discard) // do not keep the buffer in the pool
	return b.Bytes()
}

// zippedFor compresses a body if it is large enough and the client accepts gzip.
func zippedFor(r *http.Request, plain []byte) content {
	if len(plain) < minZipped || !takesGzip(r) {
		return content{plain, false}
	}
	return content{zip(plain), true}
}

// takesGzip reports whether the client accepts gzip with a weight above 0.
func takesGzip(r *http.Request) bool {
	for one := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, weighed := strings.Cut(strings.ToLower(strings.Join(strings.Fields(one), "")), ";q=")
		if coding == "gzip" {
			return !weighed || strings.Trim(weight, "0.") != ""
		}
	}
	return false
}
