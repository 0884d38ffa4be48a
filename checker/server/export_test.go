package server

import (
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// Permissions of routes.
const (
	AdminToken   = adminToken
	ReleaseToken = releaseToken
	AnyToken     = anyToken
	ReadStats    = readStats
	ViewStats    = viewStats
	Open         = open
)

// Limits of pages.
const (
	MaxPages     = maxPages
	MaxPageBytes = maxPageBytes
	BytesASecond = bytesASecond
	BytesAtOnce  = bytesAtOnce
)

// Route is a route that a test adds.
type Route struct {
	Pattern  string
	Requires permission
}

// Patterns returns the patterns of all routes.
func (s *Server) Patterns() (all []string) {
	for _, r := range s.routes() {
		all = append(all, r.pattern)
	}
	return all
}

// HandlerWith returns the handler with additional routes, which answer with the name of
// the role.
func (s *Server) HandlerWith(more ...Route) http.Handler {
	routes := s.routes()
	for _, m := range more {
		routes = append(routes, route{pattern: m.Pattern, requires: m.Requires, handler: func(w http.ResponseWriter, r *http.Request, id identity) error {
			return writeText(w, [...]string{"anonymous", "public", "reader"}[id.role])
		}})
	}
	return s.handle(routes)
}

// LocalURL returns the URL to go to after signing in.
var LocalURL = localURL

// Within limits the time for the queries of a request.
func (s *Server) Within(d time.Duration) { s.queryTimeout = d }

// AcceptsGzip reports whether a request accepts gzip.
var AcceptsGzip = acceptsGzip

// KeptPages returns how many pages are kept, and of how many bytes.
func (s *Server) KeptPages() (n, bytes int) {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	for _, page := range s.pages.cached {
		bytes += page.size()
	}
	return len(s.pages.kept), bytes
}

// Unpaced removes the limit of bandwidth for pages.
func (s *Server) Unpaced() {
	s.readersPace.SetLimit(rate.Inf)
	s.publicPace.SetLimit(rate.Inf)
}

// WithoutTokenCache makes every look-up of a token or session ask the store.
func (s *Server) WithoutTokenCache() {
	s.auth.tokens.ttl, s.auth.sessions.ttl = 0, 0
}
