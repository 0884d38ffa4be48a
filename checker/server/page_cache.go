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
	// maxPages and maxPageBytes limit the number and the total size of cached pages.
	maxPages     = 16
	maxPageBytes = 16 << 20
)

// bytesASecond limits the rate of pages, and bytesAtOnce is the burst after a pause: about
// fifty pages of a year. Clients with a token share one such limit, and all others
// another. Reports must not wait for clients that load pages without a pause, although
// these pages are cached.
const bytesASecond, bytesAtOnce = 25 << 20, 10 << 20

// pageOfList is the number of bytes that a page of a list counts as. It is not cached, and
// rendering it takes as long as sending this much of a cached page.
const pageOfList = 64 << 10

// pageKey is the key of a page that shows one view. A view is for one query, one moment
// and one role, see viewKey. So a page is found only as long as its view, and only for
// clients with the same permissions.
type pageKey struct {
	view    weak.Pointer[stats.View] // may be collected before the page
	visitor pages.Visitor
}

// pageCache holds recently rendered pages.
type pageCache struct {
	mu    sync.Mutex
	kept  map[pageKey]*keptContent
	order []pageKey // oldest first
	size  int       // in bytes
}

func newPageCache() *pageCache { return &pageCache{kept: map[pageKey]*keptContent{}} }

// get returns a cached page, or nil.
func (p *pageCache) get(key pageKey) *keptContent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept[key]
}

// put adds a page and removes the oldest ones to make room. If another request has added
// the page, put does nothing.
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

// keptPage returns the page of a view from the cache, or renders and adds it.
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

// paced waits until a number of bytes may be sent.
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
