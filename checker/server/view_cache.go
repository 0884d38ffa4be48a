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
	// viewFresh is how long a view is shown again to who asks the same. Figures
	// change every few seconds.
	viewFresh = 2 * time.Second
	// publicFresh is the same for what everyone may see.
	publicFresh = time.Minute
	// maxViews is how many are kept.
	maxViews = 16
	// maxReading is how many are read at once: a view may take a processor and many
	// megabytes for a second, and the connections to a database are few.
	maxReading = 2
	// viewWait is how long others wait for their turn, and viewTimeout how long the
	// reading may take then.
	viewWait, viewTimeout = 5 * time.Second, 20 * time.Second
)

// viewKey is what a view depends on. A product is another one after each change
// of the catalog.
type viewKey struct {
	product *product
	query   stats.Query
	today   rollup.Day
	public  bool // as far as everyone may see it
}

// views reads views, each once for all who ask at the same time.
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

// get returns what read returns, or has returned a moment ago. The reading goes on
// when the caller leaves, for others wait for it too.
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

// evict makes room for one more: first what is stale goes, then whatever is done.
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
		if p := recover(); p != nil { // there is no handler above to do it
			one.err = fmt.Errorf("reading them panicked: %v\n%s", p, debug.Stack())
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
	if ctx.Err() != nil || errors.Is(one.err, context.DeadlineExceeded) { // the store has one of its own
		one.err = busy()
	}
}

// turn waits until less is being read.
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
