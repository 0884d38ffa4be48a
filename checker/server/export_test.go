package server

import (
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// What tests see of the table of routes.
const (
	AdminsOnly     = adminsOnly
	PublishersOnly = publishersOnly
	HoldersOnly    = holdersOnly
	ReadersOnly    = readersOnly
	ViewersToo     = viewersToo
	Anyone         = anyone
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
	Pattern string
	Who     who
}

// Patterns lists those of the routes there are.
func (s *Server) Patterns() (all []string) {
	for _, r := range s.routes() {
		all = append(all, r.pattern)
	}
	return all
}

// HandlerWith returns the handler with some routes more. They answer with the
// name of the audience.
func (s *Server) HandlerWith(more ...Route) http.Handler {
	routes := s.routes()
	for _, m := range more {
		routes = append(routes, route{pattern: m.Pattern, who: m.Who, handler: func(w http.ResponseWriter, r *http.Request) error {
			return writeText(w, [...]string{"nobody", "everyone", "reader"}[s.audience(r)])
		}})
	}
	return s.handle(routes)
}

// Local returns where to go on after signing in.
var Local = local

// Within sets how long requests may ask the store.
func (s *Server) Within(d time.Duration) { s.within = d }

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
