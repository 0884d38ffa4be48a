package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
)

// TestErrorsForBrowsers checks that browsers get pages for errors of any path that is not for
// programs only, and that other clients get JSON.
func TestErrorsForBrowsers(t *testing.T) {
	s := newService(t)
	h := s.handler.Handler()
	tooLarge := strings.Repeat("a", 2<<20) // for any request
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, c := range []struct {
		method, path string
		status       int
		forPrograms  bool
	}{
		{"GET", "/nope", 404, false},
		{"GET", "/../nope", 404, false},
		{"GET", "/assets/nope.css", 404, false},
		{"GET", "/docs/nope", 404, false},
		{"GET", "/files/opa/v1.0.0/nope", 404, false},
		{"POST", "/connect", 405, false},
		{"DELETE", "/healthz", 405, false},
		{"GET", "/v1/version", 405, false},
		{"GET", "/" + strings.Repeat("a", 9000), 431, false},
		{"POST", "/sign-in", 413, false},
		{"GET", "/api/v1/nope", 404, true},
		{"POST", "/api/v1/products", 405, true},
		{"POST", "/v1/version", 413, true}, // a report
	} {
		for accept, isPage := range map[string]bool{
			browser: !c.forPrograms, "text/html; q=1": !c.forPrograms, "text/html, application/json": !c.forPrograms,
			"": false, "*/*": false, "application/json": false, "application/json, text/html;q=0.5": false, "text/html;q=0": false, "text/html;q=x": false,
		} {
			r := httptest.NewRequest(c.method, "/", strings.NewReader("x="+tooLarge))
			r.URL.Path, r.RequestURI = c.path, c.path
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Accept", accept)
			if strings.Contains(c.path, "version") {
				r.Header.Set("Content-Type", "application/json")
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			contentType, begin := "application/json", `{"error":{"code":"`
			if isPage {
				contentType, begin = "text/html; charset=utf-8", "<!doctype html>"
			}
			if w.Code != c.status || w.Header().Get("Content-Type") != contentType || !strings.HasPrefix(w.Body.String(), begin) {
				t.Errorf("%s %.50s with Accept %q: got status %d, type %s and body %.80s; want %d and %s", c.method, c.path, accept, w.Code, w.Header().Get("Content-Type"), w.Body, c.status, contentType)
			}
			if (w.Code == 405) != (w.Header().Get("Allow") != "") {
				t.Errorf("%s %.50s with Accept %q: got status %d and Allow %q", c.method, c.path, accept, w.Code, w.Header().Get("Allow"))
			}
		}
	}
}

// TestRoutesWhenStoreFails checks that a store that fails is never the fault of a request: each
// route answers from memory or with status 503.
func TestRoutesWhenStoreFails(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{PublicStats: true, PublicThreshold: 10}}, catalog.Release{Tag: "v1.0.0"})
	id, token := s.tokenOf(t, access.Admin)
	session := s.session(t, id)
	h := s.handler.Handler()
	get := func(method, path string, c credential, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if strings.HasPrefix(path, "/manage") {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r.Header.Set(c.header, c.value)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for _, c := range []credential{bearer(token), withCookie(session)} { // which are then known for a moment
		if got := get("GET", "/products/opa", c, ""); got.Code != http.StatusOK {
			t.Fatalf("got status %d, want 200: %s", got.Code, got.Body)
		}
	}
	s.store.Close()
	unavailable := map[string]bool{}
	for _, pattern := range s.handler.Patterns() {
		method, path := sample(pattern)
		for _, c := range []credential{bearer(token), withCookie(session)} {
			got := get(method, path, c, "{}")
			unavailable[pattern] = unavailable[pattern] || got.Code == http.StatusServiceUnavailable
			if got.Code == http.StatusInternalServerError || strings.HasPrefix(path, "/api/") && got.Code == http.StatusUnprocessableEntity {
				t.Errorf("%s: got status %d, want 503 or none of the store's faults: %.300s", pattern, got.Code, got.Body)
			}
		}
	}
	for _, pattern := range []string{
		"GET /api/v1/products", "GET /api/v1/products/{product}/public", "GET /api/v1/products/{product}/export", "GET /products/{product}/public",
		"PUT /api/v1/products/{product}", "DELETE /api/v1/products/{product}",
		"GET /api/v1/products/{product}/releases/{version}", "DELETE /api/v1/products/{product}/releases/{version}",
		"GET /manage/products/{product}/release", "GET /manage/tokens", "POST /manage/tokens", "GET /manage/audit", "GET /manage/sites", "POST /manage/sites/{site}/remove",
	} {
		if !unavailable[pattern] {
			t.Errorf("%s: want status 503", pattern)
		}
	}
}
