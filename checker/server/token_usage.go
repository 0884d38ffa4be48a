package server

import (
	"context"
	"sync"
	"time"

	"relcheck/checker/access"
)

// storeUsageEvery is the time between two writes of token usage.
const storeUsageEvery = time.Second

// tokenUsage remembers the hour of each token's last use, and stores it in the
// background, so that no request waits for that.
type tokenUsage struct {
	mu       sync.Mutex
	lastHour map[string]time.Time // by token ID
	pending  map[string]time.Time // not stored yet
}

func newTokenUsage() *tokenUsage {
	return &tokenUsage{lastHour: map[string]time.Time{}, pending: map[string]time.Time{}}
}

func (u *tokenUsage) record(t *access.Token, now time.Time) {
	hour := now.UTC().Truncate(time.Hour)
	u.mu.Lock()
	defer u.mu.Unlock()
	if !t.LastUsed.Before(hour) || !u.lastHour[t.ID].Before(hour) {
		return
	}
	u.lastHour[t.ID], u.pending[t.ID] = hour, hour
}

// run stores the usage until ctx ends, and then once more.
func (u *tokenUsage) run(ctx context.Context, store Store) {
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

// flush stores what is pending. What fails stays pending.
func (u *tokenUsage) flush(ctx context.Context, store Store) {
	ctx, cancel := context.WithTimeout(ctx, storeUsageEvery)
	defer cancel()
	u.mu.Lock()
	pending := u.pending
	u.pending = map[string]time.Time{}
	u.mu.Unlock()
	for id, hour := range pending {
		if store.UseToken(ctx, id, hour) == nil {
			continue
		}
		u.mu.Lock()
		if u.pending[id].Before(hour) {
			u.pending[id] = hour
		}
		u.mu.Unlock()
	}
}
