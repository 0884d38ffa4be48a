package syncer

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"relcheck/checker/catalog"
)

const (
	// MinInterval is the minimum time between two syncs of a product by Run.
	MinInterval = time.Minute
	// maxConcurrent is the maximum number of products that are synced at the same time.
	maxConcurrent = 2
	// maxPoll is the maximum time until Run notices a change of the products.
	maxPoll = 15 * time.Second
)

// Run syncs all products that have upstreams, each once per interval, until ctx ends. If
// several servers have the same store, only one of them syncs a product at a time. If the
// rate limit of an API is reached, Run syncs its products when the limit ends.
func (s *Syncer) Run(ctx context.Context, every time.Duration, log *slog.Logger) {
	r := &runner{Syncer: s, every: every, log: log, due: map[string]attempt{}}
	for ctx.Err() == nil {
		pause := r.round(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

type runner struct {
	*Syncer
	every time.Duration
	log   *slog.Logger

	// Only Run's goroutine uses these fields.
	due        map[string]attempt // by product
	tokenError string             // the last one, or empty
}

// attempt is the next sync of a product.
type attempt struct {
	after time.Time // time of the last one
	at    time.Time
}

// jitter returns a random duration of up to a tenth of the interval. It spreads the syncs
// of many products and servers.
func (r *runner) jitter() time.Duration { return time.Duration(rand.Float64() * float64(r.every) / 10) }

// round syncs the products that are due, and returns the time until the next round.
func (r *runner) round(ctx context.Context) time.Duration {
	poll := min(maxPoll, max(r.every/10, time.Millisecond))
	products, err := r.Store.Products(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.log.Error("cannot read the products to sync; trying again", "err", err)
		}
		return poll
	}
	r.readTokens()
	now := r.now()
	next := now.Add(poll)
	var running sync.WaitGroup
	slots := make(chan struct{}, maxConcurrent)
	for _, p := range products {
		if len(p.UpstreamList()) == 0 || ctx.Err() != nil {
			continue
		}
		a := r.attemptOf(&p, now)
		if a.at.After(now) {
			if a.at.Before(next) {
				next = a.at
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		running.Go(func() {
			defer func() { <-slots }()
			r.sync(ctx, p.Name, a.after)
		})
	}
	running.Wait()
	return max(0, next.Sub(r.now()))
}

// readTokens reads the tokens again, because the operator may have replaced them. It logs
// an error once until it changes.
func (r *runner) readTokens() {
	if r.Tokens == nil {
		return
	}
	tokens, err := r.Tokens()
	switch {
	case err == nil:
		r.tokenError = ""
		r.Reader.SetTokens(tokens)
	case err.Error() != r.tokenError:
		r.tokenError = err.Error()
		r.log.Error("cannot read the tokens of upstreams; using the previous ones", "err", err)
	}
}

// attemptOf returns when a product is synced next.
func (r *runner) attemptOf(p *catalog.Product, now time.Time) attempt {
	var last time.Time
	for _, s := range p.Syncs {
		if s.Tried.After(last) {
			last = s.Tried
		}
	}
	a, known := r.due[p.Name]
	switch {
	case known && a.after.Equal(last):
	case last.IsZero(), last.After(now.Add(r.every)): // never synced, or the clock was ahead
		a = attempt{last, now.Add(min(r.jitter(), time.Minute))}
	default:
		a = attempt{last, last.Add(r.every + r.jitter())}
	}
	for _, name := range p.UpstreamList() {
		if from, err := catalog.ParseUpstream(name); err == nil {
			if until := r.Reader.LimitedUntil(from); until.After(a.at) || until.After(now) {
				a.at = until.Add(min(r.jitter(), time.Minute))
			}
		}
	}
	r.due[p.Name] = a
	return a
}

// sync syncs a product, unless another server has tried to since the given time.
func (r *runner) sync(outer context.Context, product string, after time.Time) {
	// Later, another server may sync it.
	ctx, cancel := context.WithTimeoutCause(outer, r.every, fmt.Errorf("not finished within %v: use a longer --sync-every", r.every))
	defer cancel()
	claimed, err := r.Store.ClaimSync(ctx, product, after, r.now())
	if err == nil && !claimed {
		return
	}
	var results []Result
	if err == nil {
		results, err = r.Sync(ctx, product)
	}
	if err != nil {
		if outer.Err() == nil {
			r.log.Error("cannot sync a product", "product", product, "err", err)
			r.recordFailure(outer, product, err)
		}
		return
	}
	for _, result := range results {
		log := r.log.With("product", product, "upstream", result.Upstream)
		switch {
		case result.Err != nil:
			log.Warn("cannot sync with an upstream", "err", result.Err)
		case result.Added+result.Changed+result.Gone > 0:
			log.Info("synced with an upstream", "result", result.String())
		}
		for _, hint := range result.Hints {
			log.Warn(hint)
		}
	}
}

// recordFailure records an error for all upstreams of a product.
func (r *runner) recordFailure(ctx context.Context, product string, failure error) {
	p, err := r.Store.Product(ctx, product)
	for _, name := range p.UpstreamList() {
		if err == nil {
			err = r.Store.RecordSync(ctx, product, catalog.Sync{Upstream: name, Tried: r.now(), Error: failure.Error()})
		}
	}
	if err != nil && ctx.Err() == nil {
		r.log.Error("cannot store that a sync failed", "product", product, "err", err)
	}
}
