package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// view returns the statistics of a product. The function get returns the parameters of the
// query by name. Pages and the API share it. For a client that may not see statistics it
// returns a view without any, which only shows releases.
func (s *Server) view(r *http.Request, id identity, name string, get func(string) string) (*stats.View, error) {
	p, err := s.product(name)
	if err != nil {
		return nil, err
	}
	today := rollup.DayOf(time.Now())
	if id.role != reader {
		return s.views.get(r.Context(), viewKey{p, stats.Query{}, today}, func(context.Context) (*stats.View, error) {
			return stats.NewView(p.Product, p.releases, stats.Query{}, &rollup.Totals{Known: rollup.Range{From: 1, To: 0}}, today), nil
		})
	}
	q, err := stats.ParseQuery(get, today)
	if err != nil {
		return nil, fail(http.StatusBadRequest, "invalid_query", parameterOfError(err), err.Error())
	}
	v, err := s.views.get(r.Context(), viewKey{p, q, today}, func(ctx context.Context) (*stats.View, error) {
		totals, err := s.store.TotalsAt(ctx, p.Name, q.Site, q.Range, q.Keeps(p.Scheme()))
		if errors.Is(err, catalog.ErrNotFound) && q.Site != "" {
			return nil, fail(http.StatusBadRequest, "invalid_query", "site", "site="+q.Site+" has no counts of the product: use the name of one of its sites, or leave it out")
		}
		if err != nil {
			return nil, err
		}
		v := stats.NewView(p.Product, p.releases, q, totals, today)
		if days := v.SpreadDays(); len(days) > 0 {
			more, err := s.store.Days(ctx, p.Name, q.Site, days, q.Keeps(p.Scheme()))
			if err != nil {
				return nil, err
			}
			v.AddDays(more)
		}
		return v, nil
	})
	if err != nil {
		err = s.viewError(r, name, err)
	}
	return v, err
}

// viewError returns the failure for statistics that could not be read. It counts timeouts,
// and logs errors of the store.
func (s *Server) viewError(r *http.Request, product string, err error) error {
	if errors.Is(r.Context().Err(), context.DeadlineExceeded) {
		err = busy()
	}
	switch f, ok := errors.AsType[*failure](err); {
	case ok && f.status == http.StatusServiceUnavailable:
		s.metrics.queriesTimedOut.Inc()
	case !ok:
		if r.Context().Err() == nil {
			s.log.Error("cannot read statistics", "product", product, "err", err)
		}
		err = unavailable("not_read", "the statistics could not be read; try again later")
	}
	return err
}

// maxQueryTime limits the time for all queries of a request. The HTTP server allows more
// time for the response.
const maxQueryTime = 25 * time.Second

func (s *Server) limitQueryTime(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, id identity) error {
		ctx, cancel := context.WithTimeout(r.Context(), s.queryTimeout)
		defer cancel()
		return h(w, r.WithContext(ctx), id)
	}
}

const (
	// viewFresh is how long a view is reused. Statistics change every few seconds.
	viewFresh = 2 * time.Second
	// maxViews is the maximum number of cached views.
	maxViews = 16
	// maxReads is the number of views that are read at a time. Reading a view may take a
	// CPU and many megabytes for a second, and database connections are few.
	maxReads = 2
	// viewWait limits how long a request waits to read a view, and viewTimeout how long
	// reading it takes.
	viewWait, viewTimeout = 5 * time.Second, 20 * time.Second
)

// viewKey is the key of a cached view. Each change of the catalog makes a new *product.
type viewKey struct {
	product *product
	query   stats.Query
	today   rollup.Day
}

// views reads and caches views. Requests for the same view share one read.
type views struct {
	reading *semaphore.Weighted

	mu     sync.Mutex
	cached map[viewKey]*cachedView
}

// cachedView is a view that has been read, or is being read. Its other fields are valid once
// done is closed.
type cachedView struct {
	done  chan struct{}
	view  *stats.View
	err   error
	until time.Time
}

// get returns a cached view, or the result of read. Reading continues when the client
// disconnects, because other requests may wait for it.
func (v *views) get(ctx context.Context, key viewKey, read func(context.Context) (*stats.View, error)) (*stats.View, error) {
	v.mu.Lock()
	entry := v.cached[key]
	if entry == nil || entry.stale() {
		v.evict()
		entry = &cachedView{done: make(chan struct{})}
		v.cached[key] = entry
		go v.read(context.WithoutCancel(ctx), entry, read)
	}
	v.mu.Unlock()
	select {
	case <-entry.done:
		return entry.view, entry.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (k *cachedView) stale() bool {
	select {
	case <-k.done:
		return time.Now().After(k.until)
	default:
		return false
	}
}

// evict makes room for a view. It removes stale views first, then any others. Requests that
// wait for an evicted view still get it.
func (v *views) evict() {
	maps.DeleteFunc(v.cached, func(_ viewKey, entry *cachedView) bool { return entry.stale() })
	for key := range v.cached { // in random order
		if len(v.cached) < maxViews {
			return
		}
		delete(v.cached, key)
	}
}

func (v *views) read(ctx context.Context, entry *cachedView, read func(context.Context) (*stats.View, error)) {
	defer func() {
		if p := recover(); p != nil { // this goroutine has no handler that recovers
			entry.err = fmt.Errorf("panic while reading a view: %v\n%s", p, debug.Stack())
		}
		if entry.err == nil {
			entry.until = time.Now().Add(viewFresh)
		}
		close(entry.done)
	}()
	wait, cancel := context.WithTimeout(ctx, viewWait)
	defer cancel()
	if v.reading.Acquire(wait, 1) != nil {
		entry.err = busy()
		return
	}
	defer v.reading.Release(1)
	ctx, cancel = context.WithTimeout(ctx, viewTimeout)
	defer cancel()
	entry.view, entry.err = read(ctx)
	if ctx.Err() != nil || errors.Is(entry.err, context.DeadlineExceeded) { // the store also has a deadline
		entry.err = busy()
	}
}

func busy() *failure {
	return unavailable("busy", "too many figures are being read; ask again in a moment")
}
