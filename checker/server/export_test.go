package server

import (
	"context"
	"net/http"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// Permissions of routes.
const (
	AdminToken   = adminToken
	ReleaseToken = releaseToken
	AnyToken     = anyToken
	ReadStats    = readStats
	ViewPublic   = viewPublic
	Open         = open
)

// Limits of pages.
const (
	MaxPages           = maxPages
	MaxPageBytes       = maxPageBytes
	PageBytesPerSecond = bytesASecond
	PageBurst          = bytesAtOnce
)

// Route is a route that a test adds.
type Route struct {
	Pattern  string
	Requires permission
}

// Patterns returns the patterns of all routes, and of the dialects that each product has.
func (s *Server) Patterns() (all []string) {
	for _, r := range s.routes() {
		all = append(all, r.pattern)
	}
	return append(all, "POST /v1/version", "POST /p/{product}/v1/version", "GET /p/{product}/releases.atom",
		"GET /repos/{owner}/{repo}/releases/latest", "GET /p/{product}/repos/{owner}/{repo}/releases/latest")
}

// HandlerWith returns the handler with additional routes, which answer with the name of
// the role.
func (s *Server) HandlerWith(more ...Route) http.Handler {
	routes := s.routes()
	for _, m := range more {
		routes = append(routes, route{pattern: m.Pattern, requires: m.Requires, handler: func(w http.ResponseWriter, r *http.Request, id identity) error {
			return writeText(w, [...]string{"anonymous", "visitor", "reader"}[id.role])
		}})
	}
	return s.handle(routes)
}

// FrontDoor returns the front door alone. Own routes and reports do nothing.
func (s *Server) FrontDoor() http.Handler {
	s.snapshot.Load().entries.report.serve = func(*Server, http.ResponseWriter, *http.Request, *call) error { return nil }
	own := http.NewServeMux()
	for _, rt := range s.routes() {
		own.HandleFunc(rt.pattern, func(http.ResponseWriter, *http.Request) {})
	}
	d := &frontDoor{s, own, http.NotFoundHandler()}
	own.HandleFunc("/", d.unmatched)
	return d
}

// LocalURL returns the URL to go to after signing in, if the base URL has the path root.
func LocalURL(root, next string) string { return (&Server{root: root}).localURL(next) }

// SetQueryTimeout limits the time that a request may query the store.
func (s *Server) SetQueryTimeout(d time.Duration) { s.queryTimeout = d }

// SetClock replaces the clock that decides which releases are offered, and looks at it.
func (s *Server) SetClock(ctx context.Context, now func() time.Time) error {
	s.loadMu.Lock()
	s.now = now
	s.loadMu.Unlock()
	return s.refresh(ctx)
}

// PublishAt does what [Server.publish] does at a time.
func (s *Server) PublishAt(ctx context.Context, now time.Time) error {
	if err := s.SetClock(ctx, func() time.Time { return now }); err != nil {
		return err
	}
	return s.publishAt(ctx, now)
}

// WriteNetworks does what [Server.publish] does at the end.
func (s *Server) WriteNetworks(ctx context.Context) error { return s.writeNetworks(ctx) }

// AcceptsGzip reports whether a request accepts gzip.
var AcceptsGzip = acceptsGzip

// CachedPages returns the number of cached pages and their total size.
func (s *Server) CachedPages() (n, bytes int) {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	for _, page := range s.pages.cached {
		bytes += page.size()
	}
	return len(s.pages.cached), bytes
}

// DisablePageRateLimit removes the rate limit of pages.
func (s *Server) DisablePageRateLimit() {
	s.readersPace.SetLimit(rate.Inf)
	s.visitorsPace.SetLimit(rate.Inf)
}

// DisableTokenCache makes every request with a token or session query the store.
func (s *Server) DisableTokenCache() {
	s.auth.tokens.ttl, s.auth.sessions.ttl = 0, 0
}

// ConnectTexts describe the dialects in Go.
var ConnectTexts = connectTexts

// Dialects returns the sorted names of the dialects that a product has.
func (s *Server) Dialects(product string) (all []string) {
	for _, e := range s.snapshot.Load().products.get(product).entries {
		all = append(all, e.name)
	}
	slices.Sort(all)
	return all
}

// DialectsInGo returns the names of the dialects that are not files.
func (s *Server) DialectsInGo() (all []string) {
	for e := range s.snapshot.Load().entries.all() {
		if e.file == nil {
			all = append(all, e.name)
		}
	}
	return all
}
