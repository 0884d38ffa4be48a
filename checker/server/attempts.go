package server

import (
	"context"
	"math"
	"net/netip"
	"sync"
	"time"

	"relcheck/checker/access"
)

const (
	// attemptsPerMinute is how many tokens that are not valid one source may try,
	// as many at once and then evenly spread.
	attemptsPerMinute = 10
	// maxTriers is of how many sources that is known.
	maxTriers = 10_000
	// keepUses is how often the store is told which tokens are used.
	keepUses = time.Second
)

// attempts counts by source the tokens that were not valid.
type attempts struct {
	*budgets
	turn chan struct{} // holds one while a source that tried too many has its token looked up
}

func newAttempts() *attempts {
	return &attempts{newBudgets(attemptsPerMinute, maxTriers), make(chan struct{}, 1)}
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

// wait returns how many seconds a source has to wait until it is told again that
// a token is not valid; 0 if it has not tried too many.
func (a *attempts) wait(from netip.Addr) int {
	return int(math.Ceil(a.budgets.wait(from, false).Seconds()))
}

// failed counts an attempt.
func (a *attempts) failed(from netip.Addr) { a.take(from) }

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
