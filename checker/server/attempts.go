package server

import (
	"context"
	"sync"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/server/ratelimit"
)

const (
	// failedLoginsPerMinute is how many invalid tokens a client IP may send.
	failedLoginsPerMinute = 10
	// maxFailedClients is how many client IPs with invalid tokens are remembered.
	maxFailedClients = 10_000
	// storeUsageEvery is the period in which the use of tokens is stored.
	storeUsageEvery = time.Second
)

// failedLogins limits the invalid tokens of each client IP.
type failedLogins struct {
	*ratelimit.Limiter
	turn chan struct{} // holds one element while a token of a client IP over its limit is looked up
}

func newFailedLogins() *failedLogins {
	return &failedLogins{ratelimit.NewLimiter(failedLoginsPerMinute, maxFailedClients), make(chan struct{}, 1)}
}

// enter waits until no token of another client IP over its limit is being looked up. The
// caller has to call leave.
func (f *failedLogins) enter(ctx context.Context) (leave func(), err error) {
	select {
	case f.turn <- struct{}{}:
		return func() { <-f.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
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
	if !t.LastUsed.Before(hour) || !u.noted[t.ID].Before(hour) {
		return
	}
	u.noted[t.ID], u.due[t.ID] = hour, hour
}

// keep tells the store until ctx ends, and then once more.
func (u *uses) keep(ctx context.Context, store Store) {
	ticker := time.NewTicker(storeUsageEvery)
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
	ctx, cancel := context.WithTimeout(ctx, storeUsageEvery)
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
