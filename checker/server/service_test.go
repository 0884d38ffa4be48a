package server_test

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/server/manage"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
	"relcheck/db/pgtest"
)

func TestMain(m *testing.M) {
	status := m.Run()
	pgtest.Stop()
	os.Exit(status)
}

const sampleID = "08c1d850-6065-478a-b9b5-a8f9f464ad33"

// service is a server with a real store and a real listener.
type service struct {
	*httptest.Server
	store   *db.Store
	writer  *db.Writer
	handler *server.Server
	path    string
}

// testStore is a [server.Store].
type testStore struct {
	*db.Store
	*db.Writer
}

func (h testStore) As(who string) manage.Store { return h.Store.As(who) }

func newService(t testing.TB, releases ...catalog.Release) *service {
	t.Helper()
	return newServiceWith(t, serviceOptions{}, releases...)
}

// newServiceOn returns a service whose server uses the result of wrap as its store.
func newServiceOn(t testing.TB, wrap func(testStore) server.Store, releases ...catalog.Release) *service {
	t.Helper()
	return newServiceWith(t, serviceOptions{wrap: wrap}, releases...)
}

// serviceOptions are the options of a service. The zero value works.
type serviceOptions struct {
	server.Options
	wrap   func(testStore) server.Store
	log    io.Writer
	routes []server.Route // additional routes
	fill   func(*db.Store)
	at     string // name of the database; default: a new file
}

func newServiceWith(t testing.TB, o serviceOptions, releases ...catalog.Release) *service {
	t.Helper()
	if o.Base == "" {
		o.Base = "http://relcheck.example.com"
	}
	if o.wrap == nil {
		o.wrap = func(h testStore) server.Store { return h }
	}
	log := slog.New(slog.DiscardHandler)
	if o.log != nil {
		log = slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	schema, err := os.ReadFile("../../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{path: cmp.Or(o.at, filepath.Join(t.TempDir(), "relcheck.db"))}
	s.store, err = db.Open(ctx, s.path, string(schema))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	s.put(t, "opa", releases...)
	if o.fill != nil {
		o.fill(s.store)
	}
	w, err := s.store.NewWriter(log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	s.writer = w
	handler, err := server.New(ctx, o.wrap(testStore{s.store, w}), log, o.Options)
	if err != nil {
		t.Fatal(err)
	}
	s.handler = handler
	go handler.Watch(ctx)
	routes := handler.HandlerWith(o.routes...)
	if t, ok := t.(*testing.T); ok { // not in benchmarks and fuzz tests
		routes = validated(t, routes)
	}
	s.Server = httptest.NewServer(routes)
	t.Cleanup(s.Server.Close)
	return s
}

// put stores releases of a product as the list of an upstream.
func (s *service) put(t testing.TB, product string, releases ...catalog.Release) {
	t.Helper()
	if _, err := s.store.ImportReleases(context.Background(), product, catalog.ListOf("test", releases...), true); err != nil {
		t.Fatal(err)
	}
}

// exec executes SQL on the database file, bypassing the store.
func (s *service) exec(t testing.TB, text string) {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+s.path+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Exec(text); err != nil {
		t.Fatal(err)
	}
}

// installations returns the counted installations of all products.
func (s *service) installations(t testing.TB) (n rollup.Installations) {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+s.path+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	err = d.QueryRow(`SELECT COALESCE(sum(daily), 0), COALESCE(sum(weekly), 0), COALESCE(sum(monthly), 0), COALESCE(sum(new), 0),
		COALESCE(sum(back7), 0), COALESCE(sum(back28), 0) FROM installation_count`).Scan(&n.Daily, &n.Weekly, &n.Monthly, &n.New, &n.Back7, &n.Back28)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// reports returns the recorded reports of a product.
func (s *service) reports(t testing.TB, product string) (all []db.Recorded) {
	t.Helper()
	err := s.store.Reports(context.Background(), product, time.Time{}, func(r *db.Recorded) error {
		all = append(all, *r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// reply is a response whose body has been read.
type reply struct {
	*http.Response
	body string
}

func (s *service) send(t testing.TB, r *http.Request) reply {
	t.Helper()
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", s.Listener.Addr().String(), ""
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res, string(body)}
}

// await requests a path until the response has the status. A server notices a change by
// another process within a second, or later on a busy machine.
func (s *service) await(t *testing.T, path string, status int) reply {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		got := s.send(t, httptest.NewRequest("GET", path, nil))
		if got.StatusCode == status {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("GET %s: got status %d after 20 s, want %d: %s", path, got.StatusCode, status, got.body)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// report returns a request as Open Policy Agent sent it before v1.0, with a body.
func report(body string) *http.Request {
	r := httptest.NewRequest("POST", "/v1/version", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Open Policy Agent/0.12.3 (darwin, amd64)")
	return r
}

// reportBody returns the body of a report of a version.
func reportBody(version string) string {
	return fmt.Sprintf(`{"id": %q, "version": %q}`, sampleID, version)
}

// token adds a token with read access to the store.
func (s *service) token(t testing.TB) (id, text string) {
	t.Helper()
	return s.tokenOf(t, access.Read)
}

func (s *service) tokenOf(t testing.TB, scope access.Scope) (id, text string) {
	t.Helper()
	k, text := access.NewToken("test", scope, time.Now())
	if err := s.store.AddToken(context.Background(), k); err != nil {
		t.Fatal(err)
	}
	return k.ID, text
}

func (s *service) revoke(t testing.TB, id string) {
	t.Helper()
	if err := s.store.RevokeToken(context.Background(), id, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// credential is a header that authenticates a request.
type credential struct{ header, value string }

func bearer(text string) credential     { return credential{"Authorization", "Bearer " + text} }
func withCookie(text string) credential { return credential{"Cookie", "relcheck=" + text} }

// session adds a session of the token with an ID, which may be unknown, and returns its
// cookie value.
func (s *service) session(t testing.TB, id string) (cookie string) {
	t.Helper()
	g, text := access.NewSession(id, time.Now())
	if err := s.store.AddSession(context.Background(), g); err != nil {
		t.Fatal(err)
	}
	return text
}

// ask sends a request directly to the handler, from a client IP.
func ask(h http.Handler, from, method, path string, c credential, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = from
	if c.header != "" {
		r.Header.Set(c.header, c.value)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// releases returns releases with tags, which are separated by spaces.
func releases(tags string) (all []catalog.Release) {
	for tag := range strings.FieldsSeq(tags) {
		all = append(all, catalog.Release{Tag: tag})
	}
	return all
}
