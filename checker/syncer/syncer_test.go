package syncer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/upstream"
	"relcheck/db"
)

func newStore(t *testing.T) *db.Store {
	t.Helper()
	schema, err := os.ReadFile("../../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "relcheck.db"), string(schema))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// fakeGitHub is an API in GitHub's form with one page.
type fakeGitHub struct {
	*httptest.Server
	mu       sync.Mutex
	tags     map[string][]string // by repository
	answer   http.HandlerFunc    // instead of a list; or nil
	requests []string            // repository and status
}

func newGitHub(t *testing.T) *fakeGitHub {
	g := &fakeGitHub{tags: map[string][]string{}}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		repo := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/repos/"), "/releases")
		var all []string
		for _, tag := range g.tags[repo] {
			all = append(all, fmt.Sprintf(`{"tag_name":%q,"assets":[]}`, tag))
		}
		body := "[" + strings.Join(all, ",") + "]"
		etag := fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(body)))
		switch {
		case g.answer != nil:
			g.requests = append(g.requests, repo+" failed")
			g.answer(w, r)
		case r.Header.Get("If-None-Match") == etag:
			g.requests = append(g.requests, repo+" 304")
			w.WriteHeader(http.StatusNotModified)
		default:
			g.requests = append(g.requests, repo+" 200")
			w.Header().Set("ETag", etag)
			fmt.Fprint(w, body)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *fakeGitHub) set(answer http.HandlerFunc, repo string, tags ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer, g.tags[repo], g.requests = answer, tags, nil
}

func (g *fakeGitHub) requested() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.requests)
}

func (g *fakeGitHub) upstream(repo string) string { return "github:" + g.URL + "/repos/" + repo }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func addProduct(t *testing.T, s *db.Store, name string, upstreams ...string) {
	t.Helper()
	if err := s.AddProduct(t.Context(), catalog.Product{Name: name, Title: name, Upstreams: strings.Join(upstreams, " ")}); err != nil {
		t.Fatal(err)
	}
}

func offered(t *testing.T, s *db.Store, product string) (tags []string) {
	t.Helper()
	releases, err := s.Releases(t.Context(), product)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range releases {
		if !r.Withdrawn {
			tags = append(tags, r.Tag)
		}
	}
	slices.Sort(tags)
	return tags
}

// run syncs a product and returns the results in words.
func run(t *testing.T, s *Syncer, product string) (lines []string) {
	t.Helper()
	results, err := s.Sync(t.Context(), product)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		lines = append(lines, r.String())
	}
	return lines
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	same := len(got) == len(want)
	for i := range want {
		same = same && strings.Contains(got[i], want[i])
	}
	if !same {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestSync(t *testing.T) {
	s, g := newStore(t), newGitHub(t)
	addProduct(t, s, "app", g.upstream("me/app"))
	sync := &Syncer{Store: s, Reader: new(upstream.Reader)}
	g.set(nil, "me/app", "v1.2.0", "v1.1.0", "v1.0.0")
	expect(t, "the first sync", run(t, sync, "app"), "3 releases: 3 added, 0 changed, 0 unchanged; new: v1.2.0, v1.1.0, v1.0.0")
	expect(t, "the second sync", run(t, sync, "app"), "unchanged, latest v1.2.0")
	g.set(nil, "me/app", "v1.3.0", "v1.1.0", "v1.0.0")
	expect(t, "a new and a removed release", run(t, sync, "app"), "1 removed upstream; new: v1.3.0; withdrawn: v1.2.0")
	g.set(nil, "me/app", "v1.3.0")
	expect(t, "a list that lacks most", run(t, sync, "app"), "it lacks 2 of 3 releases: it is probably incomplete; if upstream has removed these releases, sync with --force")
	if got := offered(t, s, "app"); len(got) != 3 {
		t.Errorf("after the refusal: got %q, want 3 releases", got)
	}
	sync.Force = true
	expect(t, "with force", run(t, sync, "app"), "withdrawn: v1.0.0, v1.1.0")
	sync.Force = false
	g.set(status(404), "me/app")
	expect(t, "no repository", run(t, sync, "app"), "a private repository needs a token")
	p, err := s.Product(t.Context(), "app")
	if err != nil || len(p.Syncs) != 1 || p.Syncs[0].Latest != "v1.3.0" || p.Syncs[0].Succeeded.IsZero() || !strings.Contains(p.Syncs[0].Error, "private repository") {
		t.Errorf("got syncs %+v (error %v), want the last success and the error", p.Syncs, err)
	}
	if _, err := sync.Sync(t.Context(), "relcheck"); !errors.Is(err, ErrNoUpstream) {
		t.Errorf("a product without upstreams: got error %v", err)
	}
	if _, err := sync.Sync(t.Context(), "none"); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("no product: got error %v", err)
	}
}

// The lists of all upstreams of a product are stored together, or none.
func TestSyncSeveralUpstreams(t *testing.T) {
	s, g, other := newStore(t), newGitHub(t), newGitHub(t)
	folder := t.TempDir()
	addProduct(t, s, "app", g.upstream("me/app"), other.upstream("me/app"), "file:"+folder)
	file := func(text string) {
		if err := os.WriteFile(filepath.Join(folder, "a.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sync := &Syncer{Store: s, Reader: new(upstream.Reader)}
	g.set(nil, "me/app", "v1.0.0")
	other.set(nil, "me/app", "v1.1.0")
	expect(t, "an empty folder", run(t, sync, "app"), "read, but not stored, because file:", "read, but not stored", "no releases in the files")
	if got := offered(t, s, "app"); len(got) > 0 {
		t.Errorf("got %q, want none", got)
	}
	file(`[{"tag_name":"v1.2.0"}]`)
	expect(t, "all", run(t, sync, "app"), "1 added", "1 added", "1 added")
	expect(t, "again", run(t, sync, "app"), "unchanged", "unchanged", "unchanged")
	g.set(nil, "me/app", "v1.0.0", "v1.3.0")
	file(`[{"tag_name":"v1.2.0"`)
	expect(t, "a truncated file", run(t, sync, "app"), "not stored, because file:", "unchanged", "truncated")
	if got, want := offered(t, s, "app"), []string{"v1.0.0", "v1.1.0", "v1.2.0"}; !slices.Equal(got, want) {
		t.Errorf("after a failure: got %q, want %q", got, want)
	}
	file(`[{"tag_name":"v1.2.0"}]`)
	other.set(nil, "me/app", "v1.1.0")
	expect(t, "after the failure", run(t, sync, "app"), "new: v1.3.0", "1 unchanged", "1 unchanged")
	if got, want := other.requested(), []string{"me/app 304", "me/app 200"}; !slices.Equal(got, want) { // read again, because it overrides the first
		t.Errorf("got requests %q, want %q", got, want)
	}
	// The second list is refused: the first is not stored either.
	g.set(nil, "me/app", "v1.0.0", "v1.3.0", "v2.0.0")
	other.set(nil, "me/app", "v0.1.0")
	expect(t, "a refused list", run(t, sync, "app"), "not stored, because github:", "it lacks 1 of 1 releases", "not stored")
	if got, want := offered(t, s, "app"), []string{"v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"}; !slices.Equal(got, want) {
		t.Errorf("after a refusal: got %q, want %q", got, want)
	}
}

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

func newRunner(s *db.Store, c *clock) *runner {
	return &runner{Syncer: &Syncer{Store: s, Reader: &upstream.Reader{Now: c.now}, Now: c.now}, every: time.Hour, log: slog.New(slog.DiscardHandler), due: map[string]attempt{}}
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
	servers := []*runner{newRunner(s, c), newRunner(s, c)}
	for range 5 * 60 {
		for _, r := range servers {
			if pause := r.round(t.Context()); pause > maxPoll {
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
	r := newRunner(s, c)
	for c.now().Before(until) {
		r.round(t.Context())
		c.add(time.Minute)
	}
	if got := g.requested(); len(got) < 1 || len(got) > maxConcurrent {
		t.Errorf("before the limit ends: got requests %q, want one of each server at most", got)
	}
	g.set(nil, "me/a", "v1.0.0")
	g.set(nil, "me/b", "v1.0.0")
	for range 3 {
		r.round(t.Context())
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
	slow := newRunner(s, newClock())
	slow.Now, slow.Reader.Now, slow.every = time.Now, time.Now, 100*time.Millisecond
	var p catalog.Product
	var err error
	for deadline := time.Now().Add(time.Minute); len(p.Syncs) < 2 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		slow.round(t.Context())
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
	background := &runner{Syncer: &Syncer{Store: fresh, Reader: new(upstream.Reader)}, every: time.Hour, log: slog.New(slog.DiscardHandler), due: map[string]attempt{"app": {}}}
	go func() {
		background.round(ctx)
		close(stopped)
	}()
	<-requested
	cancel()
	select {
	case <-stopped:
	case <-time.After(5 * time.Second):
		t.Error("a round has not stopped within 5 s")
	}
	if p, err := fresh.Product(t.Context(), "app"); err != nil || p.Syncs[0].Error != "" {
		t.Errorf("a sync that was stopped: got %+v (error %v), want no error", p.Syncs, err)
	}
}
