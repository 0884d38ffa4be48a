package server_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
)

// TestIdentityIsResolvedOnce counts how often a request asks the store for a token or
// session, without the cache that would hide a repetition.
func TestIdentityIsResolvedOnce(t *testing.T) {
	for _, publicStats := range []bool{false, true} {
		c := &counted{}
		s := newServiceWith(t, serviceOptions{Options: server.Options{PublicStats: publicStats, PublicThreshold: 10},
			wrap: func(h halves) server.Store { c.halves = h; return c }}, catalog.Release{Version: "v1.0.0"})
		s.handler.WithoutTokenCache()
		h := s.handler.Handler()
		id, read := s.tokenOf(t, access.Read)
		_, admin := s.tokenOf(t, access.Admin)
		session := withCookie(s.session(t, id))
		for _, name := range []string{"one", "two", "three"} { // the overview shows each product
			r := httptest.NewRequest("PUT", "/api/v1/products/"+name, strings.NewReader("{}"))
			r.Header.Set("Authorization", "Bearer "+admin)
			c.all = 0
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 201 || c.all != 1 {
				t.Errorf("PUT product %s: got status %d and %d look-ups, want 201 and 1; %s", name, w.Code, c.all, w.Body)
			}
		}
		for _, path := range []string{"/", "/connect", "/privacy", "/sign-in", "/nowhere", "/products/opa", "/products/opa?days=x",
			"/products/opa/releases", "/products/opa/connect", "/api/v1/products", "/api/v1/products/opa/releases",
			"/api/v1/products/opa/stats", "/api/v1/products/opa/stats/summary"} {
			for _, credential := range []credential{bearer(read), session} {
				c.all = 0
				if got := ask(h, "192.0.2.1:1", "GET", path, credential, "Accept", "text/html"); c.all != 1 || got.Code >= 500 {
					t.Errorf("public %v, GET %s with %s: got status %d and %d look-ups, want 1", publicStats, path, credential.header, got.Code, c.all)
				}
			}
		}
		for _, path := range []string{"/healthz", "/readyz", "/p/opa/repos/a/b/releases/latest"} {
			c.all = 0
			if ask(h, "192.0.2.1:1", "GET", path, bearer(read)); c.all != 0 {
				t.Errorf("GET %s: got %d look-ups, want 0", path, c.all)
			}
		}
	}
}
