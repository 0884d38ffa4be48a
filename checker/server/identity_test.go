package server_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
)

// TestIdentityIsResolvedOnce checks that a request looks up its token or session once. It
// disables the cache, which would hide a second look-up.
func TestIdentityIsResolvedOnce(t *testing.T) {
	for _, publicStats := range []bool{false, true} {
		c := &countingStore{}
		s := newServiceWith(t, serviceOptions{Options: server.Options{PublicStats: publicStats, PublicThreshold: 10},
			wrap: func(h testStore) server.Store { c.testStore = h; return c }}, catalog.Release{Tag: "v1.0.0"})
		s.handler.DisableTokenCache()
		h := s.handler.Handler()
		id, read := s.tokenOf(t, access.Read)
		_, admin := s.tokenOf(t, access.Admin)
		session := withCookie(s.session(t, id))
		for _, name := range []string{"one", "two", "three"} { // the home page shows each product
			r := httptest.NewRequest("PUT", "/api/v1/products/"+name, strings.NewReader("{}"))
			r.Header.Set("Authorization", "Bearer "+admin)
			c.lookups = 0
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 201 || c.lookups != 1 {
				t.Errorf("PUT product %s: got status %d and %d look-ups, want 201 and 1; %s", name, w.Code, c.lookups, w.Body)
			}
		}
		for _, path := range []string{"/", "/connect", "/privacy", "/sign-in", "/nowhere", "/products/opa", "/products/opa?days=x",
			"/products/opa/releases", "/products/opa/connect", "/api/v1/products", "/api/v1/products/opa/releases",
			"/api/v1/products/opa/stats", "/api/v1/products/opa/stats/summary"} {
			for _, credential := range []credential{bearer(read), session} {
				c.lookups = 0
				if got := ask(h, "192.0.2.1:1", "GET", path, credential, "Accept", "text/html"); c.lookups != 1 || got.Code >= 500 {
					t.Errorf("public %v, GET %s with %s: got status %d and %d look-ups, want 1", publicStats, path, credential.header, got.Code, c.lookups)
				}
			}
		}
		for _, path := range []string{"/healthz", "/readyz", "/p/opa/repos/a/b/releases/latest"} {
			c.lookups = 0
			if ask(h, "192.0.2.1:1", "GET", path, bearer(read)); c.lookups != 0 {
				t.Errorf("GET %s: got %d look-ups, want 0", path, c.lookups)
			}
		}
	}
}
