package server

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"

	"relcheck/checker/catalog"
	"relcheck/checker/upstream"
)

// maxExports is the maximum number of exports that are sent at the same time.
const maxExports = 4

// apiExport answers GET /api/v1/products/{product}/export with all stored data about a
// product's releases, in the format of relcheck release export. It sends releases while it
// reads them. If they change meanwhile, it closes the connection before the end.
func (s *Server) apiExport(w http.ResponseWriter, r *http.Request, _ identity) error {
	p, err := s.product(r.PathValue("product"))
	if err != nil {
		return err
	}
	etag, err := s.exportETag(r, p)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("ETag", etag)
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		return unavailable("busy", "too many exports are running; try again in a moment")
	}
	h["Content-Type"] = jsonType
	h["X-Content-Type-Options"] = noSniff
	if r.Method == http.MethodHead {
		return nil
	}
	if err := s.writeExport(w, r, p); err != nil {
		if r.Context().Err() == nil && !errors.Is(err, errClientGone) {
			s.log.Warn("an export was aborted; its client will notice that it is incomplete", "product", p.Name, "err", err)
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}

// exportETag identifies the contents of an export.
func (s *Server) exportETag(r *http.Request, p *product) (string, error) {
	id, err := s.store.EntriesID(r.Context(), p.Name)
	if errors.Is(err, catalog.ErrNotFound) {
		return "", unknownProduct(p.Name)
	}
	if err != nil {
		s.log.Error("cannot read the releases of a product", "product", p.Name, "err", err)
		return "", unavailable("not_read", "the releases could not be read; send the request again later")
	}
	sum := sha256.New()
	io.WriteString(sum, id)
	for _, name := range catalog.ProductFields {
		io.WriteString(sum, "\x00"+p.Field(name))
	}
	return `"` + hex.EncodeToString(sum.Sum(nil)[:16]) + `"`, nil
}

// errClientGone is returned if a response cannot be sent.
var errClientGone = errors.New("the client has closed the connection")

// clientWriter marks the errors of a client's connection.
type clientWriter struct{ io.Writer }

func (c clientWriter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	if err != nil {
		err = errClientGone
	}
	return n, err
}

func (s *Server) writeExport(w http.ResponseWriter, r *http.Request, p *product) error {
	out := io.Writer(clientWriter{w})
	entries := s.store.Entries(r.Context(), p.Name)
	if !acceptsGzip(r) {
		return upstream.WriteExport(out, p.Product, entries)
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(z)
	defer z.Reset(io.Discard)
	z.Reset(out)
	if err := upstream.WriteExport(z, p.Product, entries); err != nil {
		return err
	}
	return z.Close()
}
