package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/db"
)

// TestCrossOriginReportsAreNotRecorded checks that reports and checks that a web page
// makes a browser send are answered, but not recorded, unless the page is the server's
// own or the product lists its origin.
func TestCrossOriginReportsAreNotRecorded(t *testing.T) {
	var log syncBuffer
	s := newServiceWith(t, serviceOptions{log: &log, fill: fillOrigins(t)}, catalog.Release{Tag: "v1.2.3"})
	h := s.handler.Handler()
	recorded, checks, crossOrigin := 0, 0, 0
	for _, c := range []struct {
		name, origin, site string // "-" for a header that is not sent
		recorded           bool
	}{
		{"program", "-", "-", true},
		{"own page", "http://relcheck.example.com", "same-origin", true},
		{"own page over plain HTTP", "http://relcheck.example.com", "-", true},
		{"own page behind a proxy", "http://example.com", "-", true}, // the host in httptest.NewRequest
		{"typed address", "-", "none", true},
		{"listed origin", "https://app.example.org", "cross-site", true},
		{"listed origin with a port", "https://app.example.org:8443", "-", true},
		{"listed scheme", "app://localhost", "cross-site", true},
		{"other page", "https://evil.example", "cross-site", false},
		{"other page over plain HTTP", "http://evil.example", "-", false},
		{"page of the same site", "http://other.example.com", "same-site", false},
		{"image on another page", "-", "cross-site", false},
		{"image on a page of the same site", "-", "same-site", false},
		{"longer host", "https://app.example.org.evil.example", "cross-site", false},
		{"other port", "https://app.example.org:444", "cross-site", false},
		{"other scheme", "http://app.example.org", "cross-site", false},
		{"longer scheme", "apps://localhost", "cross-site", false},
		{"unlisted null", "null", "cross-site", false},
		{"unlisted null over plain HTTP", "null", "-", false},
		{"empty origin", "", "-", false},
		{"own origin from another site", "http://relcheck.example.com", "cross-site", false},
		{"unknown site", "-", "somewhere", false},
	} {
		for _, path := range []string{"/v1/version", "/p/opa/v1/version", "/repos/open-policy-agent/opa/releases/latest", "/p/opa/repos/a/b/releases/latest"} {
			method, body := "GET", ""
			if strings.HasSuffix(path, "/version") {
				method, body = "POST", `{"id":"`+uuid.NewString()+`","version":"1.0.0"}`
			}
			r := httptest.NewRequest(method, path, strings.NewReader(body))
			r.Header.Set("User-Agent", "Open Policy Agent/1.10.1 (linux, amd64)")
			for name, value := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
				if value != "-" {
					r.Header.Set(name, value)
				}
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			want := "no"
			switch {
			case !c.recorded:
				crossOrigin++
			case method == "GET":
				want, checks = "", checks+1
			default:
				want, recorded = "", recorded+1
			}
			if w.Code != 200 || !strings.Contains(w.Body.String(), "v1.2.3") || w.Header().Get("Relcheck-Recorded") != want || w.Header().Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s, %s: got status %d, headers %v and body %s; want 200 for all origins, Relcheck-Recorded %q and v1.2.3", c.name, path, w.Code, w.Header(), w.Body, want)
			}
			if n := len(s.reports(t, "opa")); n != recorded {
				t.Errorf("%s, %s: got %d recorded reports, want %d", c.name, path, n, recorded)
				recorded = n
			}
		}
	}
	s.wantMetrics(t, line("relcheck_checks_total", checks), line("relcheck_reports_recorded_total", recorded),
		line(`relcheck_cross_origin_total{kind="report"}`, crossOrigin/2), line(`relcheck_cross_origin_total{kind="check"}`, crossOrigin/2))
	s.Server.Close()
	log.Lock()
	defer log.Unlock()
	if text := log.String(); strings.Contains(text, "evil.example") || strings.Contains(text, "app.example.org") {
		t.Errorf("got log %s, want no origins", text)
	}
}

func line(name string, n int) string { return fmt.Sprint(name, " ", n) }

// TestNullOrigin checks that a product can list the origin null, and that a change of its
// origins applies to a running server.
func TestNullOrigin(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v1.2.3"})
	send := func() string {
		r := report(reportBody("1.0.0"))
		r.Header.Set("Origin", "null")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		return s.send(t, r).Header.Get("Relcheck-Recorded")
	}
	_, token := s.tokenOf(t, "admin")
	for _, c := range []struct{ origins, want string }{{`["null"]`, ""}, {`[]`, "no"}, {`["https://a.example","null"]`, ""}} {
		r := httptest.NewRequest("PUT", "/api/v1/products/opa", strings.NewReader(`{"origins":`+c.origins+`}`))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		if got := s.send(t, r); got.StatusCode != 200 || !strings.Contains(got.body, `"origins":`+c.origins) {
			t.Fatalf("set origins %s: got status %d and body %s, want 200 with the origins", c.origins, got.StatusCode, got.body)
		}
		if got := send(); got != c.want {
			t.Errorf("origins %s: report from null: got Relcheck-Recorded %q, want %q", c.origins, got, c.want)
		}
	}
}

func fillOrigins(t *testing.T) func(*db.Store) {
	return func(s *db.Store) {
		if _, _, err := s.EditProduct(context.Background(), "opa", catalog.ProductPatch{"origins": "https://app.example.org https://app.example.org:8443 app:"}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCORS checks that web pages may read the responses to reports and checks, including
// errors, and no others.
func TestCORS(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{PublicStats: true, PublicThreshold: 10}}, catalog.Release{Tag: "v1.2.3"})
	_, token := s.tokenOf(t, "admin")
	h, open := s.handler.Handler(), 0
	send := func(method, path, body string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Origin", "https://evil.example")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for _, pattern := range s.handler.Patterns() {
		method, path := sample(pattern)
		_, ofProduct, _ := strings.Cut(pattern, "{product}")
		allowed := strings.HasSuffix(pattern, "/v1/version") || strings.HasSuffix(pattern, "/releases.atom") || strings.Contains(pattern, "/repos/")
		want := ""
		if allowed {
			open++
			want = "*"
		}
		for _, headers := range [][]string{nil, {"Authorization", "Bearer " + token}, {"Accept", "text/html"}} {
			w := send(method, path, "", headers...)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != want || w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %v: got status %d and headers %v, want Access-Control-Allow-Origin %q without credentials", pattern, headers, w.Code, w.Header(), want)
			}
		}
		if method == "OPTIONS" {
			continue
		}
		w := send("OPTIONS", path, "", "Access-Control-Request-Method", method, "Access-Control-Request-Headers", "content-type")
		methods := w.Header().Get("Access-Control-Allow-Methods")
		if !allowed && (w.Code != 405 || methods != "" || w.Header().Get("Access-Control-Allow-Origin") != "") {
			t.Errorf("OPTIONS %s%s: got status %d and headers %v, want 405 without CORS headers", path, ofProduct, w.Code, w.Header())
		}
		if allowed && (w.Code != 204 || !strings.Contains(methods, method) || w.Header().Get("Access-Control-Allow-Origin") != "*" ||
			!strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "Content-Type") || w.Header().Get("Access-Control-Max-Age") == "") {
			t.Errorf("OPTIONS %s: got status %d and headers %v, want 204 with CORS headers for %s", path, w.Code, w.Header(), method)
		}
	}
	if open != 5 {
		t.Errorf("got %d routes that web pages may use, want 5", open)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/v1/version", "{", 400},
		{"POST", "/p/none/v1/version", "{}", 404},
		{"GET", "/repos/a/b/releases/latest", "", 404},
		{"HEAD", "/repos/open-policy-agent/opa/releases/latest", "", 200},
	} {
		if w := send(c.method, c.path, c.body); w.Code != c.want || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s %s: got status %d and headers %v, want %d for all origins", c.method, c.path, w.Code, w.Header(), c.want)
		}
	}
	broken := newServiceOn(t, func(h testStore) server.Store { return panickingStore{h} })
	w := httptest.NewRecorder()
	broken.handler.Handler().ServeHTTP(w, report(reportBody("1.0.0")))
	if w.Code != http.StatusInternalServerError || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("report that panics: got status %d and headers %v, want 500 for all origins", w.Code, w.Header())
	}
}
