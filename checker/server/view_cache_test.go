package server_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"relcheck/checker/server"
	"relcheck/checker/stats/rollup"
)

// slowStore is a store that returns statistics after a delay, or when the channel may is
// closed.
type slowStore struct {
	halves
	takes             time.Duration
	may               chan struct{}
	reads, now, atOne atomic.Int64
	panics            atomic.Bool
}

func (s *slowStore) Figures(ctx context.Context, product string, r rollup.Range, keep func(rollup.Build) bool) (*rollup.Totals, error) {
	s.reads.Add(1)
	now := s.now.Add(1)
	defer s.now.Add(-1)
	for most := s.atOne.Load(); now > most && !s.atOne.CompareAndSwap(most, now); most = s.atOne.Load() {
	}
	if s.panics.Load() {
		panic("figures")
	}
	if s.may != nil {
		<-s.may
	}
	time.Sleep(s.takes)
	return s.halves.Figures(ctx, product, r, keep)
}

// askAll sends requests at the same time, and returns the number of responses by status.
func askAll(t *testing.T, s *service, token string, urls ...string) map[int]int {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := map[int]int{}
	for _, url := range urls {
		wg.Go(func() {
			req, err := http.NewRequest("GET", s.URL+url, nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+token)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			all[res.StatusCode]++
		})
	}
	wg.Wait()
	return all
}

// Concurrent requests for the same view must share one read, and few reads may run at a
// time.
func TestViewReadsAreShared(t *testing.T) {
	store := &slowStore{takes: 100 * time.Millisecond}
	s := newServiceOn(t, func(h halves) server.Store { store.halves = h; return store })
	_, token := s.token(t)
	var same, different []string
	for i := range 12 {
		same = append(same, "/api/v1/products/opa/stats/versions")
		different = append(different, fmt.Sprintf("/api/v1/products/opa/stats/versions?days=%d", i+2))
	}
	if got := askAll(t, s, token, same...); got[200] != 12 || store.reads.Load() != 1 {
		t.Errorf("got responses by status %v after %d reads, want 12 of 200 after 1", got, store.reads.Load())
	}
	if got := askAll(t, s, token, different...); got[200] != 12 || store.atOne.Load() != 2 {
		t.Errorf("got responses by status %v with %d reads at a time, want 12 of 200 with 2", got, store.atOne.Load())
	}
}

// A request must not wait long for its turn to read, and a panic while reading must not end
// the process.
func TestViewReadsAreBounded(t *testing.T) {
	store := &slowStore{may: make(chan struct{})}
	s := newServiceOn(t, func(h halves) server.Store { store.halves = h; return store })
	_, token := s.token(t)
	var urls []string
	for i := range 4 {
		urls = append(urls, fmt.Sprintf("/api/v1/products/opa/stats/versions?days=%d", i+2))
	}
	first := make(chan map[int]int)
	go func() { first <- askAll(t, s, token, urls[:2]...) }()
	for deadline := time.Now().Add(20 * time.Second); store.now.Load() < 2 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if got := askAll(t, s, token, urls[2:]...); got[503] != 2 {
		t.Errorf("got responses by status %v, want 2 of 503", got)
	}
	close(store.may)
	if got := <-first; got[200] != 2 || store.atOne.Load() != 2 {
		t.Errorf("got first responses by status %v with %d reads at a time, want 2 of 200 with 2", got, store.atOne.Load())
	}
	store.panics.Store(true)
	if got := askAll(t, s, token, "/api/v1/products/opa/stats/versions?days=99"); got[500] != 1 {
		t.Errorf("got responses by status %v after a panic, want 1 of 500", got)
	}
}
