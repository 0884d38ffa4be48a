package syncer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

// blocking is a handler that reports a request and then waits until the test continues.
func blocking() (h http.HandlerFunc, requested, proceed chan struct{}) {
	requested, proceed = make(chan struct{}, 10), make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request) {
		requested <- struct{}{}
		select {
		case <-proceed:
			fmt.Fprint(w, `[{"tag_name":"v1.0.0"}]`) // the list at the time of the request
		case <-r.Context().Done():
		}
	}, requested, proceed
}

// A product has one sync at a time, so that an older list does not replace a newer one.
func TestTwoSyncs(t *testing.T) {
	s := newStore(t)
	slow, requested, proceed := blocking()
	var newer atomic.Bool
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if newer.Load() {
			fmt.Fprint(w, `[{"tag_name":"v1.0.0"},{"tag_name":"v2.0.0"}]`)
			return
		}
		slow(w, r)
	}))
	defer api.Close()
	addProduct(t, s, "app", "github:"+api.URL+"/repos/me/app")
	results := make(chan error, 2)
	start := func(sync *Syncer) {
		_, err := sync.Sync(t.Context(), "app")
		results <- err
	}
	waiting := make(chan struct{}, 1000)
	go start(&Syncer{Store: s, Reader: new(upstream.Reader)})
	<-requested
	newer.Store(true)
	go start(&Syncer{Store: s, Reader: new(upstream.Reader), claimTime: time.Minute, Progress: func(_, upstream, _ string) {
		if upstream == "" {
			waiting <- struct{}{}
		}
	}})
	<-waiting
	close(proceed)
	for range 2 {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	if got, want := offered(t, s, "app"), []string{"v1.0.0", "v2.0.0"}; !slices.Equal(got, want) {
		t.Errorf("got releases %q, want %q", got, want)
	}
}

// suspended is a store whose claims are not extended, as if the process was suspended.
type suspended struct {
	*db.Store
	claimed atomic.Bool
}

func (s *suspended) ClaimSync(ctx context.Context, product string, id int64, now, until time.Time) (bool, error) {
	if s.claimed.Swap(true) {
		return true, nil
	}
	return s.Store.ClaimSync(ctx, product, id, now.Add(-2*time.Minute), until.Add(-2*time.Minute))
}

// A sync that was killed or suspended does not block another one, and does not replace its
// list.
func TestSuspendedSync(t *testing.T) {
	s, g := newStore(t), newGitHub(t)
	slow, requested, proceed := blocking()
	g.set(nil, "me/app", "v1.0.0", "v2.0.0")
	api := httptest.NewServer(slow)
	defer api.Close()
	addProduct(t, s, "app", "github:"+api.URL+"/repos/me/app")
	result := make(chan error, 1)
	go func() {
		_, err := (&Syncer{Store: &suspended{Store: s}, Reader: new(upstream.Reader)}).Sync(t.Context(), "app")
		result <- err
	}()
	<-requested
	client := &http.Client{Transport: redirectTo(g.URL)}
	expect(t, "the other sync", run(t, &Syncer{Store: s, Reader: &upstream.Reader{Client: client}}, "app"), "2 added")
	close(proceed)
	if err := <-result; !errors.Is(err, catalog.ErrSyncLost) {
		t.Errorf("the suspended sync: got error %v, want ErrSyncLost", err)
	}
	if got, want := offered(t, s, "app"), []string{"v1.0.0", "v2.0.0"}; !slices.Equal(got, want) {
		t.Errorf("got releases %q, want %q", got, want)
	}
	if p, err := s.Product(t.Context(), "app"); err != nil || p.Syncs[0].Error != "" || p.Syncs[0].Latest != "v2.0.0" {
		t.Errorf("got syncs %+v (error %v), want those of the other sync", p.Syncs, err)
	}
}

// redirectTo sends all requests to another server.
type redirectTo string

func (to redirectTo) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Host = strings.TrimPrefix(string(to), "http://")
	return http.DefaultTransport.RoundTrip(r)
}
