package hosting

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// maxFetches is the maximum number of files that are fetched at the same time.
	// maxFetchers is the maximum number of requests that wait for them.
	maxFetches  = 4
	maxFetchers = 256
	// retryAfter is the time before a failed fetch is tried again.
	retryAfter = 30 * time.Second
	// maxFetchTime limits the time of a fetch.
	maxFetchTime = 2 * time.Hour
	// maxFailures is the maximum number of remembered failures.
	maxFailures = 1000
)

// Fetcher fetches files that clients request. Several requests for a file share one fetch.
// The fetch continues if the clients disconnect.
type Fetcher struct {
	ctx     context.Context
	running singleflight.Group
	slots   chan struct{}
	waiting atomic.Int64

	mu       sync.Mutex
	failures map[string]failure // by key

	fetched, failed atomic.Int64
}

type failure struct {
	at  time.Time
	err error
}

// FetchError is the error of a fetch. Its text may contain addresses and paths that clients
// must not see.
type FetchError struct{ error }

func (e *FetchError) Unwrap() error { return e.error }

// NewFetcher returns a Fetcher whose fetches end with ctx.
func NewFetcher(ctx context.Context) *Fetcher {
	return &Fetcher{ctx: ctx, slots: make(chan struct{}, maxFetches), failures: map[string]failure{}}
}

// Counts returns the number of fetches that have succeeded and failed.
func (f *Fetcher) Counts() (fetched, failed int64) { return f.fetched.Load(), f.failed.Load() }

// Fetch calls fetch, unless a fetch with the same key is running or has just failed. The
// error is a [FetchError], wraps [ErrBusy], or is that of the context.
func (f *Fetcher) Fetch(ctx context.Context, key string, fetch func(context.Context) (File, error)) (c File, err error) {
	if err := f.recentFailure(key); err != nil {
		return c, err
	}
	if f.waiting.Add(1) > maxFetchers {
		f.waiting.Add(-1)
		return c, ErrBusy
	}
	defer f.waiting.Add(-1)
	done := f.running.DoChan(key, func() (any, error) {
		if err := f.recentFailure(key); err != nil { // the previous fetch may have failed meanwhile
			return c, err
		}
		c, err := f.run(fetch)
		if err == nil {
			f.fetched.Add(1)
		} else if f.ctx.Err() == nil {
			f.failed.Add(1)
			err = &FetchError{err}
			f.remember(key, err)
		}
		return c, err
	})
	select {
	case <-ctx.Done():
		return c, context.Cause(ctx)
	case result := <-done:
		c, _ = result.Val.(File)
		return c, result.Err
	}
}

func (f *Fetcher) run(fetch func(context.Context) (File, error)) (c File, err error) {
	ctx, cancel := context.WithTimeoutCause(f.ctx, maxFetchTime, errors.New("the download takes too long"))
	defer cancel()
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return c, context.Cause(ctx)
	}
	return fetch(ctx)
}

func (f *Fetcher) recentFailure(key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last, ok := f.failures[key]; ok && time.Since(last.at) < retryAfter {
		return last.err
	}
	return nil
}

func (f *Fetcher) remember(key string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for old, last := range f.failures {
		if len(f.failures) >= maxFailures || time.Since(last.at) >= retryAfter {
			delete(f.failures, old)
		}
	}
	f.failures[key] = failure{time.Now(), err}
}
