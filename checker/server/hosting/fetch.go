package hosting

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"relcheck/checker/mirror"
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
	fetcher *mirror.Fetcher
	running singleflight.Group
	slots   chan struct{}
	waiting atomic.Int64

	mu       sync.Mutex
	failures map[mirror.Source]failure

	fetched, failed atomic.Int64
}

type failure struct {
	at  time.Time
	err error
}

// FetchError is the error of a fetch. Clients may see its text.
type FetchError struct{ Err error }

func (e *FetchError) Error() string { return e.Err.Error() }
func (e *FetchError) Unwrap() error { return e.Err }

// NewFetcher returns a Fetcher whose fetches end with ctx.
func NewFetcher(ctx context.Context, f *mirror.Fetcher) *Fetcher {
	return &Fetcher{ctx: ctx, fetcher: f, slots: make(chan struct{}, maxFetches), failures: map[mirror.Source]failure{}}
}

// Counts returns the number of fetches that have succeeded and failed.
func (f *Fetcher) Counts() (fetched, failed int64) { return f.fetched.Load(), f.failed.Load() }

// Fetch fetches a file and calls record with its content. The error is a [FetchError], wraps
// [ErrBusy], or is that of the context.
func (f *Fetcher) Fetch(ctx context.Context, from mirror.Source, record func(context.Context, mirror.Content) error) (c mirror.Content, err error) {
	if err := f.recentFailure(from); err != nil {
		return c, err
	}
	if f.waiting.Add(1) > maxFetchers {
		f.waiting.Add(-1)
		return c, ErrBusy
	}
	defer f.waiting.Add(-1)
	done := f.running.DoChan(fmt.Sprint(from), func() (any, error) {
		if err := f.recentFailure(from); err != nil { // the previous fetch may have failed meanwhile
			return c, err
		}
		c, err := f.fetch(from, record)
		if err != nil && f.ctx.Err() == nil {
			f.failed.Add(1)
			err = &FetchError{err}
			f.remember(from, err)
		}
		return c, err
	})
	select {
	case <-ctx.Done():
		return c, context.Cause(ctx)
	case result := <-done:
		c, _ = result.Val.(mirror.Content)
		return c, result.Err
	}
}

func (f *Fetcher) fetch(from mirror.Source, record func(context.Context, mirror.Content) error) (c mirror.Content, err error) {
	ctx, cancel := context.WithTimeoutCause(f.ctx, maxFetchTime, errors.New("the download takes too long"))
	defer cancel()
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return c, context.Cause(ctx)
	}
	if c, err = f.fetcher.Fetch(ctx, from, nil); err != nil {
		return c, err
	}
	release, err := f.fetcher.Folder.Hold(ctx, c)
	if err != nil {
		return c, err
	}
	defer release()
	f.fetched.Add(1)
	return c, record(ctx, c)
}

func (f *Fetcher) recentFailure(from mirror.Source) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last, ok := f.failures[from]; ok && time.Since(last.at) < retryAfter {
		return last.err
	}
	return nil
}

func (f *Fetcher) remember(from mirror.Source, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, last := range f.failures {
		if len(f.failures) >= maxFailures || time.Since(last.at) >= retryAfter {
			delete(f.failures, key)
		}
	}
	f.failures[from] = failure{time.Now(), err}
}
