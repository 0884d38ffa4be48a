package checker

import (
	"context"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestStartIsCheap tests that Start takes less than a millisecond and one goroutine.
func TestStartIsCheap(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	harmless(t)
	const starts = 101
	var asking sync.WaitGroup
	asking.Add(starts)
	c := &Client{Product: "opa", Version: "0.70.0", StateFile: state, Transport: memory(func(r *http.Request) (*http.Response, error) {
		asking.Done()
		<-r.Context().Done()
		return nil, r.Context().Err()
	})}
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var took []time.Duration
	for range starts {
		start := time.Now()
		c.Start(ctx)
		took = append(took, time.Since(start))
	}
	asking.Wait()
	if n := runtime.NumGoroutine() - before; n > starts { // goroutines of before may have ended
		t.Errorf("%d clients run in %d goroutines, want one each", starts, n)
	}
	slices.Sort(took)
	if median := took[starts/2]; median >= time.Millisecond {
		t.Errorf("Start takes %v, want less than 1 ms", median)
	}
}

// TestOneGoroutineBetweenReports tests that a client has one goroutine between two reports.
func TestOneGoroutineBetweenReports(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	harmless(t)
	s := serve(t, reply(ok(newer)))
	told := make(chan bool, 1)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	(&Client{Product: "opa", Version: "0.70.0", URL: s.url, StateFile: state, OnOutdated: func(Latest) { told <- true }}).Start(ctx)
	<-told
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before+1 {
		if time.Now().After(deadline) {
			t.Fatalf("got %d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		time.Sleep(time.Millisecond)
	}
}
