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
// fifty pages of a year. Clients with a token share one such limit, and all
// other clients another. Without it, clients that load cached pages without a pause would
// delay reports.
const bytesASecond, bytesAtOnce = 25 << 20, 10 << 20

// pageOfList is the number of bytes that a page of a list counts as. Such a page is not
// cached, and rendering it takes as long as sending this many bytes of a cached page.
const pageOfList = 64 << 10

// pageKey is the key of a cached page. A view belongs to one query, one point in time and
// one role, see viewKey, so a page is found only while its view is cached, and only for
// clients with the same permissions.
type pageKey struct {
	view    weak.Pointer[stats.View] // may be collected before the page
	visitor pages.Visitor
}

type pageCache struct {
	mu     sync.Mutex
	cached map[pageKey]*keptContent
	order  []pageKey // oldest first
	size   int       // in bytes
}

func (p *pageCache) get(key pageKey) *keptContent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cached[key]
}

// put adds a page and removes the oldest ones to make room. If another request has added
// the page, put does nothing.
func (p *pageCache) put(key pageKey, page *keptContent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cached[key] != nil {
		return
	}
	p.cached[key], p.order, p.size = page, append(p.order, key), p.size+page.size()
	for len(p.order) > maxPages || p.size > maxPageBytes {
		p.size -= p.cached[p.order[0]].size()
		delete(p.cached, p.order[0])
		p.order = p.order[1:]
	}
}

// keptPage returns the page of a view from the cache, or renders and adds it.
func (s *Server) keptPage(r *http.Request, id identity, v *stats.View, render func(pages.Visitor) ([]byte, error)) (*keptContent, error) {
	key := pageKey{weak.Make(v), s.visitor(r, id)}
	if page := s.pages.get(key); page != nil {
		return page, nil
	}
	s.drawing <- struct{}{}
	defer func() { <-s.drawing }()
	if page := s.pages.get(key); page != nil {
		return page, nil
	}
	plain, err := render(key.visitor)
	if err != nil {
		return nil, err
	}
	page := newKeptContent(plain)
	s.pages.put(key, page)
	return page, nil
}

// paced waits until the rate limit of pages lets a number of bytes be sent.
func (s *Server) paced(r *http.Request, id identity, bytes int) error {
	ctx, cancel := context.WithTimeout(r.Context(), viewWait)
	defer cancel()
	pace := s.visitorsPace
	if id.role == reader {
		pace = s.readersPace
	}
	if pace.WaitN(ctx, min(bytes, bytesAtOnce)) != nil {
		s.metrics.queriesTimedOut.Inc()
		return busy()
	}
	return nil
}
