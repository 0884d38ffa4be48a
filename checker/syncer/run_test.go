package syncer

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/upstream"
	"relcheck/db"
)

// clock is a time that a test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func testRunner(s *db.Store, c *clock) *runner {
	return newRunner(&Syncer{Store: s, Reader: &upstream.Reader{Now: c.now}, Now: c.now}, time.Hour, slog.New(slog.DiscardHandler))
}

// wholeRound is a round that waits for the ends of its syncs.
func (r *runner) wholeRound(ctx context.Context) time.Duration {
	pause := r.round(ctx)
	r.syncs.Wait()
	return pause
}

// withoutModule removes the module of the product that each store has.
func withoutModule(t *testing.T, s *db.Store) {
	t.Helper()
	if _, _, err := s.EditProduct(t.Context(), "opa", catalog.ProductPatch{"module": ""}); err != nil {
		t.Fatal(err)
	}
}

// Two servers with one store sync each product once per interval.
func TestRounds(t *testing.T) {
	s, g, c := newStore(t), newGitHub(t), newClock()
	withoutModule(t, s)
	for _, name := range []string{"a", "b", "c"} {
		addProduct(t, s, name, g.upstream("me/"+name))
		g.set(nil, "me/"+name, "v1.0.0")
	}
	servers := []*runner{testRunner(s, c), testRunner(s, c)}
	for range 5 * 60 {
		for _, r := range servers {
			if pause := r.wholeRound(t.Context()); pause > maxPoll {
				t.Errorf("got a pause of %v, want at most %v", pause, maxPoll)
			}
		}
		c.add(time.Minute)
	}
	count := map[string]int{}
	for _, r := range g.requested() {
		repo, _, _ := strings.Cut(r, " ")
		count[repo]++
	}
	for repo, n := range count {
		if n < 4 || n > 6 {
			t.Errorf("%s: got %d syncs in 5 hours, want about 5", repo, n)
		}
	}
	if len(count) != 3 {
		t.Errorf("got syncs of %v, want 3 products", count)
	}
}

// No request is sent to an API until its rate limit ends. Then all products are synced
// soon.
func TestRoundsHonourRateLimits(t *testing.T) {
	s, g, c := newStore(t), newGitHub(t), newClock()
	withoutModule(t, s)
	addProduct(t, s, "a", g.upstream("me/a"))
	addProduct(t, s, "b", g.upstream("me/b"))
	until := c.now().Add(20 * time.Minute)
	limited := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", fmt.Sprint(until.Unix()))
		w.WriteHeader(http.StatusForbidden)
	}
	g.set(limited, "me/a", "v1.0.0")
	r := testRunner(s, c)
	for c.now().Before(until) {
		r.wholeRound(t.Context())
		c.add(time.Minute)
	}
	if got := g.requested(); len(got) < 1 || len(got) > maxConcurrent {
		t.Errorf("before the limit ends: got requests %q, want one of each server at most", got)
	}
	g.set(nil, "me/a", "v1.0.0")
	g.set(nil, "me/b", "v1.0.0")
	for range 3 {
		r.wholeRound(t.Context())
		c.add(time.Minute)
	}
	if got := g.requested(); len(got) != 2 {
		t.Errorf("after the limit: got requests %q, want 2", got)
	}
	for _, product := range []string{"a", "b"} {
		if p, err := s.Product(t.Context(), product); err != nil || p.Syncs[0].Error != "" || p.Syncs[0].Succeeded.IsZero() {
			t.Errorf("%s: got syncs %+v (error %v), want a success", product, p.Syncs, err)
		}
	}
}

// Upstreams that hang do not delay the syncs of other products.
func TestRunBesideUpstreamsThatHang(t *testing.T) {
	s, g := newStore(t), newGitHub(t)
	withoutModule(t, s)
	slow, requested, _ := blocking()
	hang := httptest.NewServer(slow)
	defer hang.Close()
	for _, name := range []string{"a", "b"} {
		addProduct(t, s, name, "github:"+hang.URL+"/repos/me/"+name)
	}
	addProduct(t, s, "c", g.upstream("me/c"))
	g.set(nil, "me/c", "v1.0.0")
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		(&Syncer{Store: s, Reader: new(upstream.Reader)}).Run(ctx, 100*time.Millisecond, slog.New(slog.DiscardHandler))
	})
	defer running.Wait()
	defer cancel()
	<-requested
	<-requested
	for deadline := time.Now().Add(10 * time.Second); len(g.requested()) < 3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got requests %q beside two upstreams that hang, want 3", g.requested())
		}
	}
}

// A sync that takes too long fails. A server that stops does not wait for a sync.
func TestRunWithUpstreamThatHangs(t *testing.T) {
	s, g := newStore(t), newGitHub(t)
	withoutModule(t, s)
	requested := make(chan struct{}, 10)
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requested <- struct{}{}
		<-r.Context().Done()
	}))
	defer hang.Close()
	addProduct(t, s, "app", "github:"+hang.URL+"/repos/me/app", g.upstream("me/app"))
	slow := testRunner(s, newClock())
	slow.Now, slow.Reader.Now, slow.every, slow.limit = time.Now, time.Now, 100*time.Millisecond, 100*time.Millisecond
	var p catalog.Product
	var err error
	for deadline := time.Now().Add(time.Minute); len(p.Syncs) < 2 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		slow.wholeRound(t.Context())
		if p, err = s.Product(t.Context(), "app"); err != nil {
			t.Fatal(err)
		}
	}
	if err != nil || len(p.Syncs) != 2 || !strings.Contains(p.Syncs[0].Error, "not finished within") {
		t.Errorf("got syncs %+v (error %v), want that they have not finished", p.Syncs, err)
	}
	for len(requested) > 0 {
		<-requested
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	fresh := newStore(t)
	withoutModule(t, fresh)
	addProduct(t, fresh, "app", "github:"+hang.URL+"/repos/me/app")
	background := &Syncer{Store: fresh, Reader: new(upstream.Reader)}
	go func() {
		background.Run(ctx, time.Millisecond, slog.New(slog.DiscardHandler))
		close(stopped)
	}()
	<-requested
	cancel()
	select {
	case <-stopped:
	case <-time.After(5 * time.Second):
		t.Error("Run has not ended within 5 s")
	}
	if p, err := fresh.Product(t.Context(), "app"); err != nil || len(p.Syncs) > 0 {
		t.Errorf("a sync that was stopped: got %+v (error %v), want none", p.Syncs, err)
	}
}
