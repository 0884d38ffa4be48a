package server

import (
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// What tests see of the table of routes.
const (
	AdminToken   = adminToken
	ReleaseToken = releaseToken
	AnyToken     = anyToken
	ReadStats    = readStats
	ViewStats    = viewStats
	Open         = open
)

// Bounds of pages, see there.
const (
	MaxPages     = maxPages
	MaxPageBytes = maxPageBytes
	BytesASecond = bytesASecond
	BytesAtOnce  = bytesAtOnce
)

// Route is a route that tests add.
type Route struct {
	Pattern  string
	Requires permission
}

// Patterns lists those of the routes there are.
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

// Local returns where to go on after signing in.
var Local = localURL

// Within sets how long requests may ask the store.
func (s *Server) Within(d time.Duration) { s.queryTimeout = d }

// TakesGzip tells whether a request is answered in gzip.
var TakesGzip = takesGzip

// KeptPages returns how many pages are kept, and of how many bytes.
func (s *Server) KeptPages() (n, bytes int) {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	for _, one := range s.pages.kept {
		bytes += one.size()
	}
	return len(s.pages.kept), bytes
}

// Unpaced has nobody wait who reads.
func (s *Server) Unpaced() {
	s.readersPace.SetLimit(rate.Inf)
	s.publicPace.SetLimit(rate.Inf)
}

// WithoutTokenCache makes every look-up of a token or session ask the store.
func (s *Server) WithoutTokenCache() {
	s.auth.tokens.ttl, s.auth.sessions.ttl = 0, 0
}
