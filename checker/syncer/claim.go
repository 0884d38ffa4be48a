package syncer

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"relcheck/checker/catalog"
)

// errRunning is returned while another sync of the product is running.
var errRunning = errors.New("another sync of the product is running")

func (s *Syncer) claimDuration() time.Duration { return cmp.Or(s.claimTime, time.Minute) }

// withClaim calls f with a claim to the product and the claim's ID. It extends the claim
// until f returns. If it cannot, because the process was suspended and another sync has
// started, it ends f's context. The error is errRunning if another sync has the product.
func (s *Syncer) withClaim(ctx context.Context, product string, f func(ctx context.Context, id int64) error) error {
	id := rand.Int64() | 1 // not 0
	claim := func() error {
		now := time.Now()
		claimed, err := s.Store.ClaimSync(ctx, product, id, now, now.Add(s.claimDuration()))
		if err == nil && !claimed {
			err = errRunning
		}
		return err
	}
	if err := claim(); err != nil {
		return err
	}
	claimed, cancel := context.WithCancelCause(ctx)
	var extending sync.WaitGroup
	extending.Go(func() {
		for {
			select {
			case <-claimed.Done():
				return
			case <-time.After(s.claimDuration() / 4):
			}
			if err := claim(); errors.Is(err, errRunning) {
				cancel(catalog.ErrSyncLost)
			}
		}
	})
	err := f(claimed, id)
	cancel(nil)
	extending.Wait()
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	s.Store.EndSync(ctx, id) // if this fails, the next sync waits until the claim ends
	return err
}
