package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"

	"relcheck/checker/server/pages"
	"relcheck/checker/stats/public"
)

func (s *Server) publicPath(product, week string) string {
	return s.root + path.Join("/api/v1/products", product, "public", week)
}

// publicPage answers GET /products/{product}/public. The parameter week chooses a document by its
// first day.
func (s *Server) publicPage(w http.ResponseWriter, r *http.Request, id identity) error {
	p, weeks, err := s.publicWeeksOf(r)
	if err != nil {
		return err
	}
	data := pages.PublicData{Product: p.Product, Threshold: s.options.PublicThreshold, API: s.publicPath(p.Name, "")}
	data.Weeks = documents(weeks)
	data.Shown = max(0, slices.IndexFunc(weeks, func(w publicWeek) bool { return w.From == r.URL.Query().Get("week") }))
	if latest := p.latest().release; latest != nil {
		data.Latest = latest.Tag
	}
	if err := s.paced(r, id, pageOfList); err != nil {
		return err
	}
	return s.sendPage(w, r, id, http.StatusOK, func(v pages.Visitor) ([]byte, error) { return pages.Public(v, data) })
}

// publicWeeksOf returns the product of a request and its public documents.
func (s *Server) publicWeeksOf(r *http.Request) (*product, []publicWeek, error) {
	p, err := s.product(r.PathValue("product"))
	if err != nil {
		return nil, nil, err
	}
	if s.networks == nil {
		return nil, nil, fail(http.StatusNotFound, "not_public", "", "this service publishes no figures; start it with --public-stats")
	}
	weeks, err := s.publicWeeks(r.Context(), p.Name)
	return p, weeks, err
}

func documents(weeks []publicWeek) (all []*public.Document) {
	for _, w := range weeks {
		all = append(all, w.Document)
	}
	return all
}

// apiPublicWeeks answers GET /api/v1/products/{product}/public with all documents, and
// GET /api/v1/products/{product}/public/{week} with the one of a week.
func (s *Server) apiPublicWeeks(w http.ResponseWriter, r *http.Request, _ identity) error {
	asCSV, err := wantsCSV(w, r)
	if err != nil {
		return err
	}
	p, weeks, err := s.publicWeeksOf(r)
	if err != nil {
		return err
	}
	week := r.PathValue("week")
	if week != "" {
		weeks = slices.DeleteFunc(weeks, func(w publicWeek) bool { return w.From != week })
		if len(weeks) == 0 {
			return fail(http.StatusNotFound, "unknown_week", "", fmt.Sprintf("there are no public figures of a week that begins on %.20q; list them at %s", week, s.publicPath(p.Name, "")))
		}
	}
	c, err := s.encoding.build(r, func() (content, error) {
		body, err := encodeWeeks(p.Name, weeks, week != "", asCSV)
		return content{body: body}, err
	})
	if err != nil {
		return err
	}
	h, sum := w.Header(), sha256.Sum256(c.body)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	h["Content-Type"] = jsonType
	if asCSV {
		h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": strings.TrimSuffix(p.Name+"-public-"+week, "-") + ".csv"}))
	}
	h["X-Content-Type-Options"] = noSniff
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", etag)
	if strings.Contains(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	c.send(w, r, http.StatusOK)
	return nil
}

// encodeWeeks encodes documents. It returns a single one exactly as it is stored.
func encodeWeeks(product string, weeks []publicWeek, single, asCSV bool) ([]byte, error) {
	var b bytes.Buffer
	switch {
	case asCSV:
		err := public.Table(documents(weeks)...).WriteCSV(&b)
		return b.Bytes(), err
	case single:
		return weeks[0].text, nil
	}
	var texts [][]byte
	for _, week := range weeks {
		texts = append(texts, bytes.TrimSpace(week.text))
	}
	fmt.Fprintf(&b, "{\"product\":%q,\"weeks\":[\n%s\n]}\n", product, bytes.Join(texts, []byte(",\n")))
	return b.Bytes(), nil
}
