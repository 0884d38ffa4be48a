// Package server is the HTTP server of relcheck. It records reports, answers them with the
// latest release, and serves statistics to programs and browsers.
package server

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/checker/server/clientip"
	"relcheck/checker/server/dialect"
	"relcheck/checker/server/hosting"
	"relcheck/checker/server/ratelimit"
	"relcheck/checker/stats/public"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/syncer"
)

// DefaultProduct is the product of POST /v1/version.
const DefaultProduct = "opa"

// refreshInterval is how often the server checks whether another process has changed the
// catalog.
const refreshInterval = 250 * time.Millisecond

// storeTimeout limits how long the server waits for the store, except for statistics.
const storeTimeout = 5 * time.Second

// relogInterval is the minimum time between two different errors of the same operation in
// the log.
const relogInterval = 10 * time.Second

// Options configure a server. With the zero value, statistics require a token.
type Options struct {
	// Base is the URL at which clients reach the server, without a trailing slash.
	Base string
	// PublicStats publishes figures without a token, see package public.
	PublicStats bool
	// PublicThreshold is the smallest figure that they show.
	PublicThreshold int64
	// KeepReports is how long reports are kept, and KeepRollups how long rollups are
	// (0: forever).
	KeepReports, KeepRollups time.Duration
	// Backups are the backups of the store; nil if there are none.
	Backups Backups
	// ClientRate is the maximum number of reports recorded per minute and client IP
	// (0: unlimited).
	ClientRate int
	// TrustedProxies are the proxies whose headers name the client IP.
	TrustedProxies []netip.Prefix
	// Files is the folder of hosted files; nil if the server serves none.
	Files *mirror.Folder
	// Fetcher fetches missing files into Files when clients request them; nil if the server
	// fetches none.
	Fetcher *mirror.Fetcher
	// Covers reports whether the server has a certificate for a host; nil without TLS.
	Covers func(host string) bool
	// Dialects is a folder of files that extend or replace the built-in dialects, or empty.
	Dialects string
	// StaleAfter is the age of the last successful sync at which an upstream is stale.
	// Default: [catalog.StaleAfter].
	StaleAfter time.Duration
	// Sync reads the releases of a product from its upstreams on behalf of a token; nil if
	// the server does not.
	Sync func(ctx context.Context, tokenID, product string) ([]syncer.Result, error)
}

// Backups describes the backups of the store.
type Backups interface {
	// Last returns the time and size in bytes of the newest good backup, or zeros.
	Last() (at time.Time, size int64)
	// Failures returns the number of backups that have failed.
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
	exports  turns // of the releases of a product

	readersPace, visitorsPace *rate.Limiter // of bytes of pages

	metrics      *metrics
	loadMu       sync.Mutex // so that an older state does not replace a newer one
	clients      *clientip.Resolver
	reports      *ratelimit.Limiter        // of reports and checks; nil without a limit
	versions     *ratelimit.VersionLimiter // nil without a limit
	networks     *public.Counter           // nil if the server publishes no figures
	publishing   publishing
	queryTimeout time.Duration    // how long a request may query the store
	now          func() time.Time // decides which releases are offered
	snapshot     atomic.Pointer[snapshot]
	dialects     dialectFolder // guarded by loadMu

	scheme, host, root string   // of Options.Base: "https://", the host with its port, and the path or ""
	ownHosts           []string // names of host, with and without its port

	files        *hosting.Files   // nil if the server serves none
	fetcher      *hosting.Fetcher // nil if the server fetches none
	filesChanged atomic.Bool      // the links in the snapshot are outdated, because files have appeared or disappeared
}

// New reads the catalog and returns a server.
func New(ctx context.Context, store Store, log *slog.Logger, o Options) (*Server, error) {
	s := &Server{store: store, log: log, options: o, queryTimeout: maxQueryTime, now: time.Now,
		views:   &views{reading: semaphore.NewWeighted(maxReads), cached: map[viewKey]*cachedView{}},
		pages:   &pageCache{cached: map[pageKey]*keptContent{}},
		drawing: make(turns, atOnce), encoding: make(turns, atOnce), exports: make(turns, maxExports),
		readersPace: rate.NewLimiter(bytesASecond, bytesAtOnce), visitorsPace: rate.NewLimiter(bytesASecond, bytesAtOnce)}
	s.options.StaleAfter = cmp.Or(o.StaleAfter, catalog.StaleAfter)
	s.clients = clientip.NewResolver(o.TrustedProxies, log)
	if o.ClientRate > 0 {
		s.reports, s.versions = ratelimit.NewLimiter(o.ClientRate, maxClients), ratelimit.NewVersionLimiter(rollup.MaxUnreleasedBuilds)
	}
	if o.PublicStats {
		s.networks = public.NewCounter(s.now(), s.countProducts)
	}
	s.openFiles(ctx)
	s.metrics = newMetrics(s)
	var err error
	if s.auth, err = newAuthenticator(store, o.Base); err != nil {
		return nil, err
	}
	s.setBase(o.Base)
	s.dialects.path = o.Dialects
	s.use(newSnapshot(&links{o.Base, s.files, s.fetcher != nil}, newEntries(dialect.BuiltIn()).countIn(s.metrics)))
	return s, s.load(ctx)
}

func (s *Server) load(ctx context.Context) error {
	s.loadMu.Lock()
	defer s.loadMu.Unlock()
	known := s.snapshot.Load()
	changes, err := s.store.Changes(ctx, known.revision)
	if err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	now, next := s.now(), s.loadDialects(known)
	switch waiting := next.next(); {
	case changes.Revision != known.revision:
		s.scan(changes)
		next = next.with(changes, now)
	case s.filesChanged.Swap(false):
		next = next.with(next.withFiles(), now)
	case !waiting.IsZero() && !waiting.After(now):
		next = next.at(now)
	}
	if next != known {
		s.logDialects(known, next)
		s.use(next)
	}
	return nil
}

// use answers requests from a snapshot.
func (s *Server) use(next *snapshot) {
	next.report = &call{snap: next, entry: next.entries.report, base: s.options.Base}
	next.reportErr = next.report.setProduct(DefaultProduct)
	s.snapshot.Store(next)
}

// Watch applies changes of the catalog within a second, and stores the usage of tokens,
// until ctx ends.
func (s *Server) Watch(ctx context.Context) {
	var background sync.WaitGroup
	background.Go(func() { s.auth.usage.run(ctx, s.store) })
	background.Go(func() { s.clients.Watch(ctx, s.storeClientsHidden) })
	if s.networks != nil {
		background.Go(func() { s.publish(ctx) })
	}
	if s.files != nil {
		background.Go(func() { s.files.Run(ctx, s.hosted) })
	}
	defer background.Wait()
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	var lastErr string
	var loggedAt time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := s.refresh(ctx)
		switch {
		case err == nil:
			lastErr = ""
		case ctx.Err() == nil && (lastErr == "" || err.Error() != lastErr && time.Since(loggedAt) >= relogInterval):
			lastErr, loggedAt = err.Error(), time.Now()
			s.log.Error("cannot read changes of the catalog; answering with the last known releases", "err", err)
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

// refresh is load with a timeout: after a failover, the next call may reach another
// database.
func (s *Server) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return s.load(ctx)
}

// Handler returns the handler of all routes.
func (s *Server) Handler() http.Handler { return s.handle(s.routes()) }

func (s *Server) handle(routes []route) http.Handler {
	all, own := http.NewServeMux(), http.NewServeMux()
	for _, rt := range routes {
		h := s.metrics.route(rt.pattern).wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch id, err := s.authorize(rt, w, r); {
			case err != nil && rt.requires == open:
				s.refuseRequest(w, r, err)
			case err != nil:
				s.sendError(w, r, id, err)
			}
		}))
		all.Handle(rt.pattern, h)
		own.Handle(rt.pattern, h)
	}
	d := &frontDoor{s, own, s.refuseUnmatched(all)}
	own.HandleFunc("/", d.unmatched)
	return s.requireTLS(markReceived(s.limitHeaders(s.recoverPanics(d))))
}

// route is a pattern of requests, the handler that answers them, and the permission that
// they need.
type route struct {
	pattern  string
	handler  handler
	requires permission
}

func (s *Server) routes() []route {
	return slices.Concat(s.sectionRoutes(), s.manageRoutes(), []route{
		{"GET /api/v1/products", s.limitQueryTime(checkParameters(s.apiProducts, "page", "per_page")), viewPublic},
		{"GET /api/v1/products/{product}/stats", s.limitQueryTime(checkParameters(s.apiTables, statsParameters[:len(statsParameters)-1]...)), readStats},
		{"GET /api/v1/products/{product}/stats/{table}", s.limitQueryTime(checkParameters(s.apiTable, statsParameters...)), readStats},
		{"GET /api/v1/products/{product}/public", s.limitQueryTime(checkParameters(s.apiPublicWeeks, "format")), viewPublic},
		{"GET /api/v1/products/{product}/public/{week}", s.limitQueryTime(checkParameters(s.apiPublicWeeks, "format")), viewPublic},
		{"GET /api/v1/products/{product}", checkParameters(s.apiProductSettings), readStats},
		{"PUT /api/v1/products/{product}", checkParameters(s.putProduct), adminToken},
		{"DELETE /api/v1/products/{product}", checkParameters(s.deleteProduct, "reports"), adminToken},
		{"GET /api/v1/products/{product}/export", checkParameters(s.apiExport), readStats},
		{"GET /api/v1/products/{product}/releases", checkParameters(s.apiReleases, "page", "per_page"), anyToken},
		{"GET /api/v1/products/{product}/releases/{version}", checkParameters(s.apiReleaseDetails), anyToken},
		{"PUT /api/v1/products/{product}/releases/{version}", checkParameters(s.putRelease), releaseToken},
		{"DELETE /api/v1/products/{product}/releases/{version}", checkParameters(s.deleteRelease), releaseToken},
		{"GET /api/openapi.yaml", s.openAPI, open},
		{"GET /files/{product}", s.file, open}, // otherwise the mux redirects it
		{"GET /files/{product}/{path...}", s.file, open},
		{"GET /metrics", s.scrape, readStats},
		{"GET /healthz", s.healthz, open},
		{"GET /readyz", s.readyz, open},
		{"GET /{$}", s.limitQueryTime(s.index), optional},
		{"GET /connect", s.limitQueryTime(s.connectPage), optional},
		{"GET /privacy", s.limitQueryTime(s.privacyPage), optional},
		{"GET /docs", s.limitQueryTime(s.docsPage), optional},
		{"GET /docs/{topic}", s.limitQueryTime(s.docsPage), optional},
		{"GET /assets/{name}", s.asset, open},
		{"GET /products/{product}", s.limitQueryTime(s.productPage("")), viewPublic},
		{"GET /products/{product}/public", s.limitQueryTime(s.publicPage), viewPublic},
		{"GET /products/{product}/releases", s.limitQueryTime(s.releasesPage), viewPublic},
		{"GET /products/{product}/releases/{tag...}", s.limitQueryTime(s.releasePage), optional},
		{"GET /products/{product}/connect", s.limitQueryTime(s.connectPage), optional},
		{"GET /sign-in", s.limitQueryTime(s.showSignIn), optional},
		{"POST /sign-in", s.limitQueryTime(s.signIn), optional},
		{"POST /sign-out", s.limitQueryTime(s.signOut), optional},
	})
}

// handler answers a request, or returns an error for [Server.handle] to answer. The
// identity is that of the request, or empty on an open route.
type handler func(w http.ResponseWriter, r *http.Request, id identity) error

// healthz answers GET /healthz: the process is running.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ identity) error {
	return writeText(w, "ok\n")
}

// readyz answers GET /readyz: whether reports can be recorded. The reason is in the log,
// because errors of the store may contain internal details.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request, _ identity) error {
	if s.store.Ready() != nil {
		return unavailable("not_ready", "reports cannot be recorded; see the log of the service")
	}
	return writeText(w, "ready\n")
}

// indexText answers GET / for clients that are not browsers.
func (s *Server) indexText(w http.ResponseWriter) error {
	return writeText(w, fmt.Sprintf(`relcheck records anonymous version reports and answers with the latest release.

To use it with Open Policy Agent:

  OPA_TELEMETRY_SERVICE_URL=%[1]s opa run --server            v0.20 to v1.12
  OPA_VERSION_CHECK_SERVICE_URL=%[1]s opa run --server        v1.13 and later

For any other product, use %[1]s/p/PRODUCT
`, s.options.Base))
}

func writeText(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header()["X-Content-Type-Options"] = noSniff
	w.Write([]byte(text)) // an error means that the client has closed the connection
	return nil
}
