// Package server is the HTTP surface of relcheck: it records reports and
// answers them with the latest release.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"relcheck/checker"
	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server/clientip"
	"relcheck/checker/server/ratelimit"
	"relcheck/checker/stats/rollup"
)

// DefaultProduct is the product that POST /v1/version is about.
const DefaultProduct = "opa"

// refreshInterval is how often the server looks whether another process has changed
// the catalog.
const refreshInterval = 250 * time.Millisecond

// storeTimeout is how long such a look may take.
const storeTimeout = 5 * time.Second

// relogInterval is how long one trouble that turns into another is not logged anew.
const relogInterval = 10 * time.Second

// Store is what the server needs of a store.
type Store interface {
	// Record stores a report and returns once it is safe on disk. Whatever the
	// error, the report is not known to be stored; one that has a method
	// DiskFull() bool which returns true is answered with status 507, and one that
	// has Busy() bool was one of too many.
	Record(ctx context.Context, product string, from checker.Platform, r *checker.Report) error
	// Count counts a question that came without an id, at best effort.
	Count(product, version string, from checker.Platform)
	// Waiting is how many reports wait to be recorded, and MaxWaiting how many may.
	Waiting() int
	MaxWaiting() int
	// Others is how many reports and questions were counted under a version that
	// those share of which there are too many.
	Others() int64
	// OnCommit has f called after every attempt to record reports, with the time
	// it took. It is called once, before the first report.
	OnCommit(f func(time.Duration))
	// Ready returns an error while reports cannot be recorded.
	Ready() error
	// Changes returns what has changed in the catalog since a revision, with the
	// revision it is at. Since the zero revision, that is all of it.
	Changes(ctx context.Context, since catalog.Revision) (catalog.Changes, error)
	// Figures reads what is known of a product in a range of days, of those builds
	// that keep lets pass.
	Figures(ctx context.Context, product string, r rollup.Range, keep func(rollup.Build) bool) (*rollup.Totals, error)
	// Token returns the access token with an id, a revoked one too, or nil if
	// there is none.
	Token(ctx context.Context, id string) (*access.Token, error)
	// UseToken keeps the hour in which a token was used.
	UseToken(ctx context.Context, id string, at time.Time) error
	// SetClientsHidden notes whether all requests seem to come by a proxy that the
	// server does not trust.
	SetClientsHidden(ctx context.Context, hidden bool) error
	// As returns what changes products and releases on behalf of who, the id of a
	// token.
	As(who string) Editor
	// Link returns the token of a sign-in link, and Session the token of a session.
	// Either may be revoked, and is nil if the link or session is not valid.
	Link(ctx context.Context, hash access.Hash) (*access.Token, error)
	Session(ctx context.Context, hash access.Hash) (*access.Token, error)
	// UseLink uses up a sign-in link and adds the session that it starts. It reports
	// false if the link is not valid any more.
	UseLink(ctx context.Context, hash access.Hash, session access.Grant) (bool, error)
	AddSession(ctx context.Context, session access.Grant) error
	EndSession(ctx context.Context, hash access.Hash) error
}

// Options are what the operator decides. The zero value shows figures to those
// with a token only.
type Options struct {
	// Base is the URL under which callers reach the server, without a slash at its end.
	Base string
	// PublicStats shows figures to readers who have not signed in, see [stats.View.Public].
	PublicStats bool
	// PublicThreshold is how many ids a cell of them has at least.
	PublicThreshold int64
	// KeepReports is how long single reports are kept, and KeepRollups what they
	// add up to; 0 is for good.
	KeepReports, KeepRollups time.Duration
	// Backups are those that are made of the store; nil if none are.
	Backups Backups
	// ClientRate is how many reports a minute are recorded of what one source
	// sends; 0 is for all.
	ClientRate int
	// TrustedProxies are the proxies whose headers name the client IP, see [clientip.Resolver].
	TrustedProxies []netip.Prefix
}

// Backups tells of the backups that are made of the store.
type Backups interface {
	// Last returns when the newest good one was made, and its size in bytes, or zeros.
	Last() (at time.Time, size int64)
	// Failures is how many have failed.
	Failures() int64
}

// Server answers HTTP requests from a snapshot of the catalog.
type Server struct {
	store    Store
	log      *slog.Logger
	options  Options
	auth     *authenticator
	views    *views
	pages    *pageCache
	drawing  turns // of pages
	encoding turns // of answers of the API

	readersPace, publicPace *rate.Limiter // of bytes of pages

	metrics      *metrics
	loadMu       sync.Mutex // one at a time: what was read first is not to come last
	clients      *clientip.Resolver
	reports      *ratelimit.Limiter        // of reports and checks; nil without a limit
	versions     *ratelimit.VersionLimiter // nil without a limit
	queryTimeout time.Duration             // how long a request may ask the store, see timed
	snapshot     atomic.Pointer[snapshot]
}

// New returns a server that has read the catalog.
func New(ctx context.Context, store Store, log *slog.Logger, o Options) (*Server, error) {
	s := &Server{store: store, log: log, options: o, queryTimeout: maxQueryTime,
		views: newViews(), pages: newPageCache(), drawing: make(turns, atOnce), encoding: make(turns, atOnce),
		readersPace: rate.NewLimiter(bytesASecond, bytesAtOnce), publicPace: rate.NewLimiter(bytesASecond, bytesAtOnce)}
	s.clients = clientip.NewResolver(o.TrustedProxies, log)
	if o.ClientRate > 0 {
		s.reports, s.versions = ratelimit.NewLimiter(o.ClientRate, maxClients), ratelimit.NewVersionLimiter(rollup.MaxUnreleasedBuilds)
	}
	s.metrics = newMetrics(s)
	var err error
	if s.auth, err = newAuthenticator(store, o.Base); err != nil {
		return nil, err
	}
	s.snapshot.Store(&snapshot{})
	return s, s.load(ctx)
}

// load reads what has changed in the catalog.
func (s *Server) load(ctx context.Context) error {
	s.loadMu.Lock()
	defer s.loadMu.Unlock()
	known := s.snapshot.Load()
	changes, err := s.store.Changes(ctx, known.revision)
	if err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	if changes.Revision != known.revision {
		next := known.with(changes)
		s.logLinkErrors(known, next, changes.Products)
		s.snapshot.Store(next)
	}
	return nil
}

// Watch keeps the snapshot as new as the catalog, within a second, and keeps in
// the store which tokens are used, until ctx ends.
func (s *Server) Watch(ctx context.Context) {
	var kept sync.WaitGroup
	kept.Go(func() { s.auth.usage.run(ctx, s.store) })
	kept.Go(func() { s.clients.Watch(ctx, s.storeClientsHidden) })
	defer kept.Wait()
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	var trouble string
	var said time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := s.refresh(ctx)
		switch {
		case err == nil:
			trouble = ""
		case ctx.Err() == nil && (trouble == "" || err.Error() != trouble && time.Since(said) >= relogInterval):
			trouble, said = err.Error(), time.Now()
			s.log.Error("cannot see whether releases have changed; answering with those known so far", "err", err)
		}
	}
}

// storeClientsHidden stores whether clients seem to be hidden behind a proxy. It tries
// until it succeeds or ctx ends.
func (s *Server) storeClientsHidden(ctx context.Context, hidden bool) {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, storeTimeout)
		err := s.store.SetClientsHidden(attempt, hidden)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-time.After(relogInterval):
		case <-ctx.Done():
		}
	}
}

// refresh loads what has changed. A store that does not answer is not waited for: it
// may be another one that does, by the next time.
func (s *Server) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return s.load(ctx)
}

// Handler returns the handler of all requests.
func (s *Server) Handler() http.Handler { return s.handle(s.routes()) }

func (s *Server) handle(routes []route) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.Handle(r.pattern, s.metrics.route(r.pattern).wrap(s.serve(r)))
	}
	return chain(mux, requireTLS, markReceived, limitHeaders, s.jsonErrors(mux), s.recoverPanics)
}

// route is a pattern of requests, the handler that answers them, and the permission that
// they need.
type route struct {
	pattern  string
	handler  handler
	requires permission
}

func (s *Server) routes() []route {
	return []route{
		{"POST /v1/version", allowAnyOrigin(s.countRefusals(s.report)), open},
		{"OPTIONS /v1/version", preflight("POST"), open},
		{"POST /p/{product}/v1/version", allowAnyOrigin(s.countRefusals(s.report)), open},
		{"OPTIONS /p/{product}/v1/version", preflight("POST"), open},
		{"GET /repos/{owner}/{repo}/releases/latest", allowAnyOrigin(s.latestRelease), open},
		{"OPTIONS /repos/{owner}/{repo}/releases/latest", preflight("GET, HEAD"), open},
		{"GET /p/{product}/repos/{owner}/{repo}/releases/latest", allowAnyOrigin(s.latestRelease), open},
		{"OPTIONS /p/{product}/repos/{owner}/{repo}/releases/latest", preflight("GET, HEAD"), open},
		{"GET /api/v1/products", s.limitQueryTime(checkParameters(s.apiProducts, "page", "per_page")), viewStats},
		{"GET /api/v1/products/{product}/stats", s.limitQueryTime(checkParameters(s.apiTables, statsParameters[:len(statsParameters)-1]...)), viewStats},
		{"GET /api/v1/products/{product}/stats/{table}", s.limitQueryTime(checkParameters(s.apiTable, statsParameters...)), viewStats},
		{"PUT /api/v1/products/{product}", checkParameters(s.putProduct), adminToken},
		{"DELETE /api/v1/products/{product}", checkParameters(s.deleteProduct, "reports"), adminToken},
		{"GET /api/v1/products/{product}/releases", checkParameters(s.apiReleases, "page", "per_page"), anyToken},
		{"PUT /api/v1/products/{product}/releases/{version}", checkParameters(s.putRelease), releaseToken},
		{"DELETE /api/v1/products/{product}/releases/{version}", checkParameters(s.deleteRelease), releaseToken},
		{"GET /metrics", s.scrape, readStats},
		{"GET /healthz", s.healthz, open},
		{"GET /readyz", s.readyz, open},
		{"GET /{$}", s.page(s.index), optional},
		{"GET /connect", s.page(s.connectPage), optional},
		{"GET /privacy", s.page(s.privacyPage), optional},
		{"GET /assets/{name}", s.asset, open},
		{"GET /products/{product}", s.page(s.productPage), viewStats},
		{"GET /products/{product}/{$}", s.withoutSlash, open},
		{"GET /products/{product}/releases", s.page(s.releasesPage), viewStats},
		{"GET /products/{product}/connect", s.page(s.connectPage), optional},
		{"GET /sign-in", s.page(s.showSignIn), optional},
		{"POST /sign-in", s.page(s.signIn), optional},
		{"POST /sign-out", s.page(s.signOut), optional},
	}
}

// handler answers a request, or returns an error for [Server.serve] to answer. The
// identity is that of the request, or empty on an open route.
type handler func(w http.ResponseWriter, r *http.Request, id identity) error

// serve returns the handler of a route. It resolves the identity of each request once,
// checks the permission that the route requires, and turns errors into answers.
func (s *Server) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.authorize(rt, w, r); err != nil {
			writeError(w, failureOf(err))
		}
	})
}

// failureOf returns the failure that err is or wraps, or else one that does not show
// the text of err.
func failureOf(err error) *failure {
	if f := (*failure)(nil); errors.As(err, &f) {
		return f
	}
	return internal()
}

func internal() *failure {
	return fail(http.StatusInternalServerError, "internal", "", "something went wrong here; try again later")
}

// healthz says that the process lives.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ identity) error {
	return writeText(w, "ok\n")
}

// readyz says whether reports can be recorded. The reason is in the log: the
// store's own words are nobody else's business.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request, _ identity) error {
	if s.store.Ready() != nil {
		f := fail(http.StatusServiceUnavailable, "not_ready", "", "reports cannot be recorded; the service's log says why")
		f.retryAfter = 5
		return f
	}
	return writeText(w, "ready\n")
}

// indexText tells a program, or a person at a terminal, what the address is for.
func (s *Server) indexText(w http.ResponseWriter) error {
	return writeText(w, fmt.Sprintf(`This is relcheck: it records anonymous version reports and answers with the latest release.

Point Open Policy Agent here:

  OPA_TELEMETRY_SERVICE_URL=%[1]s opa run --server            v0.20 to v1.12
  OPA_VERSION_CHECK_SERVICE_URL=%[1]s opa run --server        v1.13 and later

Any other product PRODUCT answers at %[1]s/p/PRODUCT
`, s.options.Base))
}

func writeText(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header()["X-Content-Type-Options"] = noSniff
	_, err := w.Write([]byte(text))
	_ = err // the caller is gone
	return nil
}
