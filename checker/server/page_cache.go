package server

import (
	"context"
	"net/http"
	"sync"
	"weak"

	"relcheck/checker/server/pages"
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

// pageOfList is what drawing a page of a list counts as, in bytes: it is not kept, and
// takes as long as it takes to answer so much of a page that is.
const pageOfList = 64 << 10

// pageKey is what a page depends on whose figures are all of one view. A view is
// of one question, of one moment, and for one audience: see viewKey. So a page is
// found for no longer than its view is, and nobody gets that of somebody else.
type pageKey struct {
	view    weak.Pointer[stats.View] // which may be gone before the page is
	visitor pages.Visitor
}

// pageCache keeps pages that were made a moment ago, for those who ask the same.
type pageCache struct {
	mu    sync.Mutex
	kept  map[pageKey]*keptContent
	order []pageKey // the oldest first
	size  int       // bytes of all
}

func newPageCache() *pageCache { return &pageCache{kept: map[pageKey]*keptContent{}} }

// get returns a page that is kept, or nil.
func (p *pageCache) get(key pageKey) *keptContent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept[key]
}

// put keeps a page, and lets go of the oldest ones for it. One that somebody else has
// made in the meantime stays.
func (p *pageCache) put(key pageKey, one *keptContent) {
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

// keptPage returns the page of a view, rendered now or a moment ago. Of the requests for
// it at the same time, the first ones render it.
func (s *Server) keptPage(r *http.Request, id identity, v *stats.View, render func(pages.Visitor) ([]byte, error)) (*keptContent, error) {
	key := pageKey{weak.Make(v), visitor(r, id)}
	if one := s.pages.get(key); one != nil {
		return one, nil
	}
	s.drawing <- struct{}{}
	defer func() { <-s.drawing }()
	if one := s.pages.get(key); one != nil {
		return one, nil
	}
	plain, err := render(key.visitor)
	if err != nil {
		return nil, err
	}
	one := newKeptContent(plain)
	s.pages.put(key, one)
	return one, nil
}

// paced waits until so many bytes may be answered.
func (s *Server) paced(r *http.Request, id identity, bytes int) error {
	ctx, cancel := context.WithTimeout(r.Context(), viewWait)
	defer cancel()
	pace := s.publicPace
	if id.role == reader {
		pace = s.readersPace
	}
	if pace.WaitN(ctx, min(bytes, bytesAtOnce)) != nil {
		s.metrics.queriesTimedOut.Inc()
		return busy()
	}
	return nil
}
