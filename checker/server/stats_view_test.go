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

// slowStore is a store that returns statistics after a delay, or when the channel proceed
// is closed.
type slowStore struct {
	testStore
	delay                         time.Duration
	proceed                       chan struct{}
	reads, running, maxConcurrent atomic.Int64
	panics                        atomic.Bool
}

func (s *slowStore) TotalsAt(ctx context.Context, product, site string, r rollup.Range, keep func(rollup.Build) bool) (*rollup.Totals, error) {
	s.reads.Add(1)
	now := s.running.Add(1)
	defer s.running.Add(-1)
	for most := s.maxConcurrent.Load(); now > most && !s.maxConcurrent.CompareAndSwap(most, now); most = s.maxConcurrent.Load() {
	}
	if s.panics.Load() {
		panic("figures")
	}
	if s.proceed != nil {
		<-s.proceed
	}
	time.Sleep(s.delay)
	return s.testStore.TotalsAt(ctx, product, site, r, keep)
}

// getAll sends GET requests at the same time, and returns the number of responses by
// status.
func getAll(t *testing.T, s *service, token string, urls ...string) map[int]int {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	byStatus := map[int]int{}
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
			byStatus[res.StatusCode]++
		})
	}
	wg.Wait()
	return byStatus
}

// TestViewReadsAreShared checks that concurrent requests for the same view share one
// read, and that at most two reads run at a time.
func TestViewReadsAreShared(t *testing.T) {
	store := &slowStore{delay: 100 * time.Millisecond}
	s := newServiceOn(t, func(h testStore) server.Store { store.testStore = h; return store })
	_, token := s.token(t)
	var same, different []string
	for i := range 12 {
		same = append(same, "/api/v1/products/opa/stats/versions")
		different = append(different, fmt.Sprintf("/api/v1/products/opa/stats/versions?days=%d", i+2))
	}
	if got := getAll(t, s, token, same...); got[200] != 12 || store.reads.Load() != 1 {
		t.Errorf("got responses by status %v after %d reads, want 12 of 200 after 1", got, store.reads.Load())
	}
	if got := getAll(t, s, token, different...); got[200] != 12 || store.maxConcurrent.Load() != 2 {
		t.Errorf("got responses by status %v with %d reads at a time, want 12 of 200 with 2", got, store.maxConcurrent.Load())
	}
}

// TestViewReadsAreBounded checks that a request does not wait long for its turn to read,
// and that a panic while reading does not end the process.
func TestViewReadsAreBounded(t *testing.T) {
	store := &slowStore{proceed: make(chan struct{})}
	s := newServiceOn(t, func(h testStore) server.Store { store.testStore = h; return store })
	_, token := s.token(t)
	var urls []string
	for i := range 4 {
		urls = append(urls, fmt.Sprintf("/api/v1/products/opa/stats/versions?days=%d", i+2))
	}
	first := make(chan map[int]int)
	go func() { first <- getAll(t, s, token, urls[:2]...) }()
	for deadline := time.Now().Add(20 * time.Second); store.running.Load() < 2 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if got := getAll(t, s, token, urls[2:]...); got[503] != 2 {
		t.Errorf("got responses by status %v, want 2 of 503", got)
	}
	close(store.proceed)
	if got := <-first; got[200] != 2 || store.maxConcurrent.Load() != 2 {
		t.Errorf("got first responses by status %v with %d reads at a time, want 2 of 200 with 2", got, store.maxConcurrent.Load())
	}
	store.panics.Store(true)
	if got := getAll(t, s, token, "/api/v1/products/opa/stats/versions?days=99"); got[503] != 1 {
		t.Errorf("got responses by status %v after a panic, want 1 of 503", got)
	}
}
