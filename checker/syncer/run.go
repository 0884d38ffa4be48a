package syncer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"relcheck/checker/catalog"
)

const (
	// MinInterval is the minimum time between two syncs of a product by Run.
	MinInterval = time.Minute
	// maxConcurrent is the maximum number of products that are synced at the same time.
	maxConcurrent = 4
	// maxDuration is the maximum duration of a sync by Run, so that upstreams that hang do not
	// delay other products for long.
	maxDuration = 15 * time.Minute
	// maxPoll is the maximum time until Run notices a change of the products.
	maxPoll = 15 * time.Second
)

// Run syncs all products that have upstreams, each once per interval, until ctx ends. If
// several servers have the same store, only one of them syncs a product at a time. If the
// rate limit of an API is reached, Run syncs its products when the limit ends.
func (s *Syncer) Run(ctx context.Context, every time.Duration, log *slog.Logger) {
	r := newRunner(s, every, log)
	defer r.syncs.Wait()
	for ctx.Err() == nil {
		pause := r.round(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		case <-r.ended:
		}
	}
}

type runner struct {
	*Syncer
	every, limit time.Duration // limit is the maximum duration of a sync
	log          *slog.Logger

	slots chan struct{} // has an element for each running sync
	ended chan struct{} // receives after a sync has ended
	syncs sync.WaitGroup

	// Only Run's goroutine uses these fields.
	due        map[string]attempt // by product
	tokenError string             // the last one, or empty
}

func newRunner(s *Syncer, every time.Duration, log *slog.Logger) *runner {
	return &runner{Syncer: s, every: every, limit: maxDuration, log: log, due: map[string]attempt{},
		slots: make(chan struct{}, maxConcurrent), ended: make(chan struct{}, 1)}
}

// attempt is the next sync of a product.
type attempt struct {
	after   time.Time // time of the last one
	at      time.Time
	running *atomic.Bool
}

// jitter returns a random duration of up to a tenth of the interval. It spreads the syncs
// of many products and servers.
func (r *runner) jitter() time.Duration { return time.Duration(rand.Float64() * float64(r.every) / 10) }

// round starts the syncs that are due, and returns the time until the next round.
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
	var due []string
	for _, p := range products {
		if len(p.UpstreamList()) == 0 {
			continue
		}
		switch a := r.attemptOf(&p, now); {
		case a.running.Load():
		case !a.at.After(now):
			due = append(due, p.Name)
		case a.at.Before(next):
			next = a.at
		}
	}
	slices.SortStableFunc(due, func(a, b string) int { return r.due[a].at.Compare(r.due[b].at) })
	for _, product := range due {
		r.start(ctx, product, now.Add(poll))
	}
	return max(0, next.Sub(r.now()))
}

// start starts a sync, unless the maximum number is running. If the sync cannot store its
// result, the next one starts no sooner than at a time.
func (r *runner) start(ctx context.Context, product string, again time.Time) {
	select {
	case r.slots <- struct{}{}:
	default:
		return
	}
	a := r.due[product]
	a.at = again
	a.running.Store(true)
	r.due[product] = a
	r.syncs.Go(func() {
		r.sync(ctx, product, a.after)
		a.running.Store(false)
		<-r.slots
		select {
		case r.ended <- struct{}{}:
		default:
		}
	})
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
	last := lastTried(p)
	a, known := r.due[p.Name]
	if !known {
		a.running = new(atomic.Bool)
	}
	switch {
	case known && a.after.Equal(last):
	case last.IsZero(), last.After(now.Add(r.every)): // never synced, or the clock was ahead
		a.after, a.at = last, now.Add(min(r.jitter(), time.Minute))
	default:
		a.after, a.at = last, last.Add(r.every+r.jitter())
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

// lastTried returns the time of the last sync of a product, or zero.
func lastTried(p *catalog.Product) (last time.Time) {
	for _, s := range p.Syncs {
		if s.Tried.After(last) {
			last = s.Tried
		}
	}
	return last
}

// sync syncs a product, unless another process syncs it or has tried to since the given
// time.
func (r *runner) sync(outer context.Context, product string, after time.Time) {
	ctx, cancel := context.WithTimeoutCause(outer, r.limit, fmt.Errorf("not finished within %v: relcheck release sync has no time limit", r.limit))
	defer cancel()
	var results []Result
	err := r.withClaim(ctx, product, func(ctx context.Context, id int64) error {
		p, err := r.Store.Product(ctx, product)
		if err == nil && !lastTried(&p).After(after) {
			results, err = r.Syncer.sync(ctx, product, id)
		}
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if outer.Err() == nil && !errors.Is(err, errRunning) {
			r.log.Error("cannot sync a product", "product", product, "err", err)
			if !errors.Is(err, catalog.ErrSyncLost) {
				r.recordFailure(outer, product, err)
			}
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
