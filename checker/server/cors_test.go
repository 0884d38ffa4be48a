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

// What a web page makes a browser send is answered and not recorded, unless it is a
// page of the server or the product names its origin.
func TestWebPages(t *testing.T) {
	var log locked
	s := newServiceWith(t, serviceOptions{log: &log, fill: fillOrigins(t)}, catalog.Release{Version: "v1.2.3"})
	h := s.handler.Handler()
	recorded, checks, foreign := 0, 0, 0
	for _, c := range []struct {
		name, origin, site string // "-" for a header that is not sent
		recorded           bool
	}{
		{"a program", "-", "-", true},
		{"an own page", "http://relcheck.example.com", "same-origin", true},
		{"an own page over plain HTTP", "http://relcheck.example.com", "-", true},
		{"an own page behind a proxy", "http://example.com", "-", true}, // the host in httptest.NewRequest
		{"an address that was typed", "-", "none", true},
		{"a named origin", "https://app.example.org", "cross-site", true},
		{"a named origin with a port", "https://app.example.org:8443", "-", true},
		{"a named scheme", "app://localhost", "cross-site", true},
		{"another page", "https://evil.example", "cross-site", false},
		{"another page over plain HTTP", "http://evil.example", "-", false},
		{"a page of the same site", "http://other.example.com", "same-site", false},
		{"an image on another page", "-", "cross-site", false},
		{"an image on a page of the same site", "-", "same-site", false},
		{"a longer host", "https://app.example.org.evil.example", "cross-site", false},
		{"another port", "https://app.example.org:444", "cross-site", false},
		{"another scheme", "http://app.example.org", "cross-site", false},
		{"a longer scheme", "apps://localhost", "cross-site", false},
		{"an unnamed null", "null", "cross-site", false},
		{"an unnamed null over plain HTTP", "null", "-", false},
		{"an empty origin", "", "-", false},
		{"an own origin from elsewhere", "http://relcheck.example.com", "cross-site", false},
		{"an odd site", "-", "somewhere", false},
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
				foreign++
			case method == "GET":
				want, checks = "", checks+1
			default:
				want, recorded = "", recorded+1
			}
			if w.Code != 200 || !strings.Contains(w.Body.String(), "v1.2.3") || w.Header().Get("Relcheck-Recorded") != want || w.Header().Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s, %s: %d %v %s", c.name, path, w.Code, w.Header(), w.Body)
			}
			if n := len(s.reports(t, "opa")); n != recorded {
				t.Errorf("%s, %s: %d reports are recorded, want %d", c.name, path, n, recorded)
				recorded = n
			}
		}
	}
	s.expect(t, line("relcheck_checks_total", checks), line("relcheck_reports_recorded_total", recorded),
		line(`relcheck_cross_origin_total{kind="report"}`, foreign/2), line(`relcheck_cross_origin_total{kind="check"}`, foreign/2))
	s.Server.Close()
	log.Lock()
	defer log.Unlock()
	if text := log.String(); strings.Contains(text, "evil.example") || strings.Contains(text, "app.example.org") {
		t.Errorf("origins are logged: %s", text)
	}
}

func line(name string, n int) string { return fmt.Sprint(name, " ", n) }

// A product can name null, and its origins can change while the server runs.
func TestNamedNull(t *testing.T) {
	s := newService(t, catalog.Release{Version: "v1.2.3"})
	send := func() string {
		r := report(saying("1.0.0"))
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
			t.Fatalf("%d %s", got.StatusCode, got.body)
		}
		if got := send(); got != c.want {
			t.Errorf("with %s a report from null is answered with Relcheck-Recorded %q, want %q", c.origins, got, c.want)
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

// Web pages may read the answers to reports and checks, errors too, and nothing else.
func TestCORS(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{PublicStats: true, PublicThreshold: 10}}, catalog.Release{Version: "v1.2.3"})
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
		forPages := strings.HasSuffix(pattern, "/v1/version") || strings.Contains(pattern, "/repos/")
		want := ""
		if forPages {
			open++
			want = "*"
		}
		for _, headers := range [][]string{nil, {"Authorization", "Bearer " + token}, {"Accept", "text/html"}} {
			w := send(method, path, "", headers...)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != want || w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %v: %d %v, want Access-Control-Allow-Origin %q", pattern, headers, w.Code, w.Header(), want)
			}
		}
		if method == "OPTIONS" {
			continue
		}
		w := send("OPTIONS", path, "", "Access-Control-Request-Method", method, "Access-Control-Request-Headers", "content-type")
		allowed := w.Header().Get("Access-Control-Allow-Methods")
		if !forPages && (w.Code != 405 || allowed != "" || w.Header().Get("Access-Control-Allow-Origin") != "") {
			t.Errorf("OPTIONS %s%s: %d %v", path, ofProduct, w.Code, w.Header())
		}
		if forPages && (w.Code != 204 || !strings.Contains(allowed, method) || w.Header().Get("Access-Control-Allow-Origin") != "*" ||
			!strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "Content-Type") || w.Header().Get("Access-Control-Max-Age") == "") {
			t.Errorf("OPTIONS %s: %d %v", path, w.Code, w.Header())
		}
	}
	if open != 8 {
		t.Errorf("%d routes are for web pages", open)
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
			t.Errorf("%s %s: %d %v", c.method, c.path, w.Code, w.Header())
		}
	}
	broken := newServiceOn(t, func(h halves) server.Store { return panicking{h} })
	w := httptest.NewRecorder()
	broken.handler.Handler().ServeHTTP(w, report(saying("1.0.0")))
	if w.Code != http.StatusInternalServerError || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a report that panics: %d %v", w.Code, w.Header())
	}
}
