package server

import (
	"net/http"
	"slices"
	"strings"
)

// fromOtherPage reports whether a web page made its visitor's browser send a report or a
// check, unless it is a page of this server or the product names the page's origin. Any
// page could otherwise report in the name of its visitors. Programs send none of the two
// headers. The names are written as net/http writes them, so that looking them up costs
// nothing.
func (s *Server) fromOtherPage(r *http.Request, p *product) bool {
	origin, site := r.Header["Origin"], r.Header["Sec-Fetch-Site"]
	switch {
	case len(origin) == 0 && len(site) == 0:
		return false
	case len(site) == 1 && (site[0] == "same-origin" || site[0] == "none"): // which pages cannot forge
		return false
	case len(origin) != 1:
		return true
	}
	_, host, _ := strings.Cut(origin[0], "://")
	own := len(site) == 0 && (host == r.Host || strings.EqualFold(origin[0], s.options.Base))
	return !own && !slices.ContainsFunc(p.origins, func(named string) bool {
		return origin[0] == named || strings.HasSuffix(named, ":") && strings.HasPrefix(origin[0], named)
	})
}

var everyOrigin = []string{"*"}

// forPages lets web pages read the answers of h, which are the same for everyone. No
// other route does that.
func forPages(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, id identity) error {
		w.Header()["Access-Control-Allow-Origin"] = everyOrigin
		return h(w, r, id)
	}
}

// preflight answers what browsers ask before they send the request of a web page.
func preflight(methods string) handler {
	return forPages(func(w http.ResponseWriter, _ *http.Request, _ identity) error {
		h := w.Header()
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "Accept, Content-Type, User-Agent, X-GitHub-Api-Version")
		h.Set("Access-Control-Max-Age", "86400")
		h.Set("Allow", methods+", OPTIONS")
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}
