package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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

// TestPageNotFound checks that the page for an address without a page shows the address, where to
// go, and the product that the address probably names, if the visitor may know it.
func TestPageNotFound(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{PublicStats: true, PublicThreshold: 10}})
	for _, p := range []catalog.Product{{Name: "gitea", Title: "Gitea"}, {Name: "secret", Title: "Secret", Hidden: true}} {
		if err := s.store.AddProduct(context.Background(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.handler.SetClock(context.Background(), time.Now); err != nil { // reads the change
		t.Fatal(err)
	}
	read, public := s.manager(t, access.Read), s.manager(t, "")
	private := newService(t)
	release, nobody := private.manager(t, access.Release), private.manager(t, "")
	const meant = `Did you mean <a href="/products/gitea"><bdi>Gitea</bdi></a>?`
	for _, c := range []struct {
		visitor *manager
		path    string
		want    []string
	}{
		{read, "/nope", []string{"<bdi>/nope</bdi>", `<a href="/">Products</a>`, `<a href="/docs">Manual</a>`, "!POST", "!Did you mean"}},
		{read, "/gitea", []string{meant}},
		{read, "/products/gitee/versions", []string{"<bdi>/products/gitee/versions</bdi>", `There is no product "gitee".`, meant}},
		{read, "/manage/product/GITEA", []string{meant}},
		{read, "/p/gite@lts/releases", []string{meant}},
		{read, "/files/gitea/v1.0.0/app", []string{meant}},
		{read, "/a/b/c/d/gitea", []string{"!Did you mean"}},
		{read, "/secret", []string{"!Secret"}},
		{read, "/%3Cb%3E%E2%80%AE?x=y", []string{"<bdi>/<b></bdi>", "!x=y"}},
		{read, "/docs/nope", []string{"The manual has no such topic", "<bdi>/docs/nope</bdi>"}},
		{read, "/v1/version", []string{"Not a page", "Only programs and forms use the address", "!Use one of"}},
		{public, "/gitea", []string{meant}},
		{release, "/op", []string{`<a href="/manage">Products</a>`, `Did you mean <a href="/manage/products/opa/releases"><bdi>Open Policy Agent</bdi></a>?`}},
		{nobody, "/op", []string{`<a href="/sign-in">Sign in</a>`, `<a href="/docs">Manual</a>`, "!Did you mean"}},
	} {
		wantText(t, c.path, c.visitor.do(t, "GET", c.path, nil), c.want...)
	}
	if got := read.do(t, "GET", "/nope", nil, "Accept", "*/*"); !strings.Contains(got.body, "send reports to POST /v1/version") {
		t.Errorf("got %s for a program, want where to send reports", got.body)
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
