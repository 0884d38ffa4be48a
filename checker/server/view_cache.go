package server

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

const (
	// viewFresh is how long a view is reused. Statistics change every few seconds.
	viewFresh = 2 * time.Second
	// publicFresh is how long a public view is reused.
	publicFresh = time.Minute
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
	public  bool // reduced to public statistics
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

func newViews() *views {
	return &views{reading: semaphore.NewWeighted(maxReads), cached: map[viewKey]*cachedView{}}
}

// get returns a cached view, or the result of read. Reading continues when the client
// disconnects, because other requests may wait for it.
func (v *views) get(ctx context.Context, key viewKey, fresh time.Duration, read func(context.Context) (*stats.View, error)) (*stats.View, error) {
	v.mu.Lock()
	entry := v.cached[key]
	if entry == nil || entry.stale() {
		v.evict()
		entry = &cachedView{done: make(chan struct{})}
		v.cached[key] = entry
		go v.read(context.WithoutCancel(ctx), entry, fresh, read)
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

// evict makes room for a view. It removes stale views first, then any others that are not
// being read.
func (v *views) evict() {
	for key, entry := range v.cached {
		if entry.stale() {
			delete(v.cached, key)
		}
	}
	for key, entry := range v.cached {
		if len(v.cached) < maxViews {
			return
		}
		select {
		case <-entry.done:
			delete(v.cached, key)
		default:
		}
	}
}

func (v *views) read(ctx context.Context, entry *cachedView, fresh time.Duration, read func(context.Context) (*stats.View, error)) {
	defer func() {
		if p := recover(); p != nil { // this goroutine has no handler that recovers
			entry.err = fmt.Errorf("panic while reading a view: %v\n%s", p, debug.Stack())
		}
		if entry.err == nil {
			entry.until = time.Now().Add(fresh)
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
