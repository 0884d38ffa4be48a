package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

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
	// maxReading is the number of views that are read at a time. A view may take a
	// processor and many megabytes for a second, and database connections are few.
	maxReading = 2
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
	reading chan struct{}

	mu   sync.Mutex
	kept map[viewKey]*keptView
}

// keptView may be read once done is closed.
type keptView struct {
	done  chan struct{}
	view  *stats.View
	err   error
	until time.Time
}

func newViews() *views {
	return &views{reading: make(chan struct{}, maxReading), kept: map[viewKey]*keptView{}}
}

// get returns a cached view, or the result of read. Reading continues when the client
// disconnects, because other requests may wait for it.
func (v *views) get(ctx context.Context, key viewKey, fresh time.Duration, read func(context.Context) (*stats.View, error)) (*stats.View, error) {
	v.mu.Lock()
	one := v.kept[key]
	if one == nil || one.stale() {
		v.evict()
		one = &keptView{done: make(chan struct{})}
		v.kept[key] = one
		go v.read(context.WithoutCancel(ctx), one, fresh, read)
	}
	v.mu.Unlock()
	select {
	case <-one.done:
		return one.view, one.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (k *keptView) stale() bool {
	select {
	case <-k.done:
		return time.Now().After(k.until)
	default:
		return false
	}
}

// evict makes room for one view. It removes stale views first, then any that are read.
func (v *views) evict() {
	for key, one := range v.kept {
		if one.stale() {
			delete(v.kept, key)
		}
	}
	for key, one := range v.kept {
		if len(v.kept) < maxViews {
			return
		}
		select {
		case <-one.done:
			delete(v.kept, key)
		default:
		}
	}
}

func (v *views) read(ctx context.Context, one *keptView, fresh time.Duration, read func(context.Context) (*stats.View, error)) {
	defer func() {
		if p := recover(); p != nil { // this goroutine has no handler that recovers
			one.err = fmt.Errorf("panic while reading a view: %v\n%s", p, debug.Stack())
		}
		if one.err == nil {
			one.until = time.Now().Add(fresh)
		}
		close(one.done)
	}()
	if one.err = v.turn(ctx); one.err != nil {
		return
	}
	defer func() { <-v.reading }()
	ctx, cancel := context.WithTimeout(ctx, viewTimeout)
	defer cancel()
	one.view, one.err = read(ctx)
	if ctx.Err() != nil || errors.Is(one.err, context.DeadlineExceeded) { // the store also has a deadline
		one.err = busy()
	}
}

// turn waits until fewer than maxReading views are being read.
func (v *views) turn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, viewWait)
	defer cancel()
	select {
	case v.reading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return busy()
	}
}

func busy() *failure {
	f := fail(http.StatusServiceUnavailable, "busy", "", "too many figures are being read; ask again in a moment")
	f.retryAfter = 5
	return f
}
