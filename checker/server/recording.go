package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// maxClients is how many client IPs and networks are remembered to limit the rate of their
// reports. That takes about 5 MB.
const maxClients = 100_000

// The kinds of requests that are recorded.
const (
	kindReport = iota
	kindCheck
	kinds
)

// notRecordedHeader is the value of the header Relcheck-Recorded of a request that was answered
// but not recorded.
var notRecordedHeader = []string{"no"}

// sender is what decides whether the reports and checks of a client count.
type sender struct {
	ip          netip.Addr // client IP
	crossOrigin bool       // see [Server.isCrossOrigin]
}

func (s *Server) sender(r *http.Request, p *product) sender {
	return sender{s.clients.ClientIP(r), s.isCrossOrigin(r, p)}
}

// mayRecord reports whether a report or check is to be recorded: not if a web page of
// another origin sent it, or if its client IP is over the rate limit. In that case the
// header of the answer says so.
func (s *Server) mayRecord(w http.ResponseWriter, from sender, kind int) bool {
	switch {
	case from.crossOrigin:
		s.metrics.crossOrigin[kind].Inc()
	case s.reports != nil && !s.reports.Allow(from.ip):
		s.metrics.rateLimited[kind].Inc()
	default:
		return true
	}
	w.Header()["Relcheck-Recorded"] = notRecordedHeader
	return false
}

// countedVersion returns the version under which a reported version is counted: itself,
// or [rollup.Other] for an unreleased one if its client IP has reported too many.
func (s *Server) countedVersion(from sender, p *product, version string, released bool, platform checker.Platform) string {
	switch {
	case s.versions == nil || version == rollup.Other || released:
		return version
	case s.versions.Allow(from.ip, p.Name, version, platform):
		return version
	}
	s.metrics.versionsLimited.Inc()
	return rollup.Other
}

// isCrossOrigin reports whether a web page made its visitor's browser send a report or
// check, unless it is a page of this server or the product allows the page's origin. Any
// page could otherwise report on behalf of its visitors. Programs send neither of the two
// headers. Their names are in the canonical form, so that looking them up costs nothing.
func (s *Server) isCrossOrigin(r *http.Request, p *product) bool {
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
