package server

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"weak"

	"github.com/klauspost/compress/gzip"

	"relcheck/checker/stats"
)

const (
	// maxPages is how many pages are kept, and maxPageBytes how many bytes they have
	// together.
	maxPages     = 16
	maxPageBytes = 16 << 20
)

// bytesASecond is how many bytes of pages are answered, on and on, and bytesAtOnce
// how many more after a pause: some fifty pages of a year. It is that much for those
// with a token, and again for everyone else: where somebody asks for pages without any
// pause, the others of his kind wait with him. They are not to take what others need
// to report, though they get what was made long ago.
const bytesASecond, bytesAtOnce = 25 << 20, 10 << 20

// pageKey is what a page depends on whose figures are all of one view. A view is
// of one question, of one moment, and for one audience: see viewKey. So a page is
// found for no longer than its view is, and nobody gets that of somebody else.
type pageKey struct {
	view     weak.Pointer[stats.View] // which may be gone before the page is
	who      audience
	signedIn bool
	path     string // escaped as in the request
}

// pages keeps pages that were made a moment ago, for those who ask the same.
type pages struct {
	mu    sync.Mutex
	kept  map[pageKey]*keptPage
	order []pageKey // the oldest first
	size  int       // bytes of all
}

// keptPage is a page as it is sent.
type keptPage struct{ plain, zipped []byte }

func newPages() *pages { return &pages{kept: map[pageKey]*keptPage{}} }

// get returns a page that is kept, or nil.
func (p *pages) get(key pageKey) *keptPage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept[key]
}

// put keeps a page, and lets go of the oldest ones for it. One that somebody else has
// made in the meantime stays.
func (p *pages) put(key pageKey, one *keptPage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept[key] != nil {
		return
	}
	p.kept[key], p.order, p.size = one, append(p.order, key), p.size+one.size()
	for len(p.order) > maxPages || p.size > maxPageBytes {
		p.size -= p.kept[p.order[0]].size()
		delete(p.kept, p.order[0])
		p.order = p.order[1:]
	}
}

func (k *keptPage) size() int { return len(k.plain) + len(k.zipped) }

// newKeptPage compresses a page, once for all: fast rather than well.
func newKeptPage(plain []byte) (*keptPage, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err = z.Write(plain); err != nil {
		return nil, err
	}
	err = z.Close()
	return &keptPage{plain, b.Bytes()}, err
}

// keptPage returns the page of a view, made from what body returns or a moment ago.
// Of those who ask for it at the same time, the first ones have it made.
func (s *Server) keptPage(r *http.Request, v *stats.View, name string, body func(public bool) any) (*keptPage, error) {
	who := s.audience(r)
	key := pageKey{weak.Make(v), who, who == reader && signedIn(r), r.URL.EscapedPath()}
	if one := s.pages.get(key); one != nil {
		return one, nil
	}
	s.drawing <- struct{}{}
	defer func() { <-s.drawing }()
	if one := s.pages.get(key); one != nil {
		return one, nil
	}
	plain, err := draw(name, sheet{v.Product.Title, navigation(r, who), key.signedIn, body(who != reader)})
	if err != nil {
		return nil, err
	}
	one, err := newKeptPage(plain)
	if err == nil {
		s.pages.put(key, one)
	}
	return one, err
}

// paced waits until so many bytes may be answered.
func (s *Server) paced(r *http.Request, bytes int) error {
	ctx, cancel := context.WithTimeout(r.Context(), viewWait)
	defer cancel()
	pace := s.publicPace
	if s.audience(r) == reader {
		pace = s.readersPace
	}
	if pace.WaitN(ctx, min(bytes, bytesAtOnce)) != nil {
		s.limits.cutOff.Inc()
		return busy()
	}
	return nil
}

// send answers with the page, in the form that the caller can read.
func (k *keptPage) send(w http.ResponseWriter, r *http.Request) {
	h, body := w.Header(), k.plain
	h.Add("Vary", "Accept-Encoding")
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = k.zipped
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	w.Write(body) // the caller may be gone; there is nobody to tell
}

// takesGzip tells whether the caller says that he can read gzip, and does not give
// it a weight of 0.
func takesGzip(r *http.Request) bool {
	for one := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, weighed := strings.Cut(strings.ToLower(strings.Join(strings.Fields(one), "")), ";q=")
		if coding == "gzip" {
			return !weighed || strings.Trim(weight, "0.") != ""
		}
	}
	return false
}
