package server

import (
	"context"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"relcheck/checker/access"
)

const (
	// attemptsPerMinute is how many tokens that are not valid one source may try,
	// as many at once and then evenly spread.
	attemptsPerMinute = 10
	// maxSources bounds the memory of them, to about 2 MB.
	maxSources = 10_000
	// keepUses is how often the store is told which tokens are used.
	keepUses = time.Second
)

// attempts counts by source the tokens that were not valid. Sources are known
// in memory only.
type attempts struct {
	mu   sync.Mutex
	all  map[netip.Prefix]*rate.Limiter
	turn chan struct{} // holds one while a source that tried too many has its token looked up
}

func newAttempts() *attempts {
	return &attempts{all: map[netip.Prefix]*rate.Limiter{}, turn: make(chan struct{}, 1)}
}

// enter waits until no other source that tried too many is looked after. To call
// leave lets in the next one.
func (a *attempts) enter(ctx context.Context) (leave func(), err error) {
	select {
	case a.turn <- struct{}{}:
		return func() { <-a.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// source is the address that a request comes from; of IPv6 the network, which
// is what one customer of a provider has at least.
func source(r *http.Request) netip.Prefix {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{} // all of these are one
	}
	addr, bits := at.Addr().Unmap().WithZone(""), 64
	if addr.Is4() {
		bits = 32
	}
	return netip.PrefixFrom(addr, bits).Masked()
}

// wait returns how many seconds a source has to wait until it is told again that
// a token is not valid; 0 if it has not tried too many.
func (a *attempts) wait(from netip.Prefix) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.all[from]
	if l == nil {
		return 0
	}
	missing := 1 - l.Tokens()
	return max(0, int(math.Ceil(missing/float64(l.Limit()))))
}

// failed counts an attempt. Of too many sources, any one is forgotten.
func (a *attempts) failed(from netip.Prefix) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.all[from]
	if l == nil {
		for other := range a.all {
			if len(a.all) < maxSources {
				break
			}
			delete(a.all, other)
		}
		l = rate.NewLimiter(rate.Every(time.Minute/attemptsPerMinute), attemptsPerMinute)
		a.all[from] = l
	}
	l.Allow()
}

// uses takes down which tokens are used, so that no request has to wait for the
// store to keep it.
type uses struct {
	mu    sync.Mutex
	noted map[string]time.Time // the last hour, by token id
	due   map[string]time.Time // those of them that the store does not know
}

func newUses() *uses {
	return &uses{noted: map[string]time.Time{}, due: map[string]time.Time{}}
}

func (u *uses) note(t *access.Token, now time.Time) {
	hour := now.UTC().Truncate(time.Hour)
	u.mu.Lock()
	defer u.mu.Unlock()
	if !t.Used.Before(hour) || !u.noted[t.ID].Before(hour) {
		return
	}
	u.noted[t.ID], u.due[t.ID] = hour, hour
}

// keep tells the store until ctx ends, and then once more.
func (u *uses) keep(ctx context.Context, store Store) {
	ticker := time.NewTicker(keepUses)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
		u.flush(context.WithoutCancel(ctx), store)
	}
}

// flush keeps at best effort what is due. What fails is tried again.
func (u *uses) flush(ctx context.Context, store Store) {
	ctx, cancel := context.WithTimeout(ctx, keepUses)
	defer cancel()
	u.mu.Lock()
	due := u.due
	u.due = map[string]time.Time{}
	u.mu.Unlock()
	for id, hour := range due {
		if store.UseToken(ctx, id, hour) == nil {
			continue
		}
		u.mu.Lock()
		if u.due[id].Before(hour) {
			u.due[id] = hour
		}
		u.mu.Unlock()
	}
}
