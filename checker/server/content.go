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

// minZipped is from how many bytes on a body is compressed.
const minZipped = 1 << 10

// content is the body of an answer as it is sent. There is room for it, see
// [inbound.Reserve].
type content struct {
	body   []byte
	zipped bool
}

// turns holds one for each body that is being built.
type turns chan struct{}

// atOnce is how many pages are built at once, and how many answers of the API: thousands
// would keep reports waiting, and take much memory before there is room for them.
const atOnce = 2

// build builds a body when it is its turn, and makes room for it.
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
	if cap(c.body) > len(c.body)*5/4 { // as a buffer that grows leaves it
		c.body = bytes.Clone(c.body)
	}
	return c, reserve(r, c.body)
}

// reserve makes room for a body, or fails.
func reserve(r *http.Request, body []byte) error {
	if inbound.Reserve(r.Context(), len(body)) {
		return nil
	}
	f := busy()
	f.message = "too many large answers are not read yet; ask again in a moment"
	return f
}

// send answers with the body.
func (c content) send(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	if c.zipped {
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(c.body)))
	w.WriteHeader(status)
	inbound.WriteBody(r.Context(), w, c.body)
}

// sendJSON answers with the JSON that build returns, which may be large.
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

// keptContent is a body that many answers share.
type keptContent struct{ plain, zipped []byte }

func newKeptContent(plain []byte) *keptContent { return &keptContent{plain, zip(plain)} }

func (k *keptContent) size() int { return len(k.plain) + len(k.zipped) }

// content returns the form that the client can read.
func (k *keptContent) content(r *http.Request) content {
	if takesGzip(r) {
		return content{k.zipped, true}
	}
	return content{k.plain, false}
}

// zippers are reused: each takes a megabyte.
var zippers = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic(err) // of a constant
	}
	return z
}}

// zip compresses, fast rather than well.
func zip(plain []byte) []byte {
	var b bytes.Buffer
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(&b)
	z.Write(plain) // to a buffer, which never fails
	z.Close()
	z.Reset(io.Discard) // or it would keep the buffer
	return b.Bytes()
}

// zippedFor compresses a body for a client that accepts that.
func zippedFor(r *http.Request, plain []byte) content {
	if len(plain) < minZipped || !takesGzip(r) {
		return content{plain, false}
	}
	return content{zip(plain), true}
}

// takesGzip reports whether the client accepts gzip, and does not give it a weight of 0.
func takesGzip(r *http.Request) bool {
	for one := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, weighed := strings.Cut(strings.ToLower(strings.Join(strings.Fields(one), "")), ";q=")
		if coding == "gzip" {
			return !weighed || strings.Trim(weight, "0.") != ""
		}
	}
	return false
}
