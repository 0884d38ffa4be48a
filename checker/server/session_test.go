package server_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/server"
	"relcheck/db/pgtest"
)

func TestCookieAttributes(t *testing.T) {
	for _, c := range []struct {
		base   string
		tls    bool
		prefix string
	}{
		{"http://localhost:8080", false, ""},
		{"http://localhost:8080", true, "__Host-"},
		{"https://releases.example.com", false, "__Host-"}, // behind a proxy
	} {
		s := newServiceWith(t, serviceOptions{Options: server.Options{Base: c.base}})
		_, text := s.token(t)
		for name, r := range map[string]*http.Request{"relcheck": signInForm(text, ""), "relcheck-form": httptest.NewRequest("GET", "/sign-in", nil)} {
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			got := s.visit(t, r)
			if len(got.Cookies()) != 1 {
				t.Fatalf("%+v: got headers %v, want one cookie", c, got.Header)
			}
			k := got.Cookies()[0]
			if k.Name != c.prefix+name || k.Secure != (c.prefix != "") || !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Path != "/" || k.Domain != "" {
				t.Errorf("%+v: got cookie %v, want name %s%s, HttpOnly, SameSite=Lax, Path=/ and no domain", c, k, c.prefix, name)
			}
			if plain := httptest.NewRequest("GET", "/test/readers", nil); c.prefix != "" && !c.tls {
				plain.Header.Set("Cookie", name+"="+k.Value)
				if got := s.visit(t, plain); got.StatusCode != 401 {
					t.Errorf("%+v: cookie without its prefix, as another server could have set it: got status %d, want 401", c, got.StatusCode)
				}
			}
		}
	}
}

func TestForgedCookies(t *testing.T) {
	s, other := newServiceWith(t, serviceOptions{}), newServiceWith(t, serviceOptions{})
	id, token := s.token(t)
	valid := s.session(t, id)
	_, unknown := access.NewSession(id, time.Now())
	expired, expiredText := access.NewSession(id, time.Now().Add(-access.SessionLifetime))
	if err := s.store.AddSession(context.Background(), expired); err != nil {
		t.Fatal(err)
	}
	requests := 0
	status := func(cookie string) int {
		requests++
		return ask(s.handler.HandlerWith(testRoutes...), "192.0.2."+string(rune('0'+requests/5))+":1", "GET", "/test/readers", withCookie(cookie)).Code
	}
	if status(valid) != 200 || status("x; relcheck="+valid) != 200 {
		t.Fatal("valid cookie: got another status than 200")
	}
	hash := access.HashOf(valid)
	for what, cookie := range map[string]string{
		"expired": expiredText, "unknown": unknown, "another store's": other.session(t, id), "a link": s.link(t, id), "a token": token,
		"its hash": string(hash[:]), "truncated": valid[:len(valid)-1], "with more": valid + "a", "in capitals": strings.ToUpper(valid),
		"empty": "", "stateless": id + ".4000000000.AAAA", "with another prefix": "rcl_" + valid[4:],
	} {
		if got := status(cookie); got != 401 {
			t.Errorf("%s cookie %q: got status %d, want 401", what, cookie, got)
		}
	}
}

// TestSessionEnds checks that a session that ends on one server ends on all servers of a
// store within seconds, and that browsers then remove its cookie.
func TestSessionEnds(t *testing.T) {
	single := newServiceWith(t, serviceOptions{})
	first := newServiceWith(t, serviceOptions{at: pgtest.Database(t)})
	second := newServiceWith(t, serviceOptions{at: first.path})
	for what, servers := range map[string][]*service{"one server": {single}, "two servers": {first, second}} {
		for how, end := range map[string]func(s *service, id, cookie string){
			"signing out": func(s *service, _, cookie string) {
				r := httptest.NewRequest("POST", "/sign-out", nil)
				r.Header.Set("Sec-Fetch-Site", "same-origin")
				r.Header.Set("Cookie", "relcheck="+cookie)
				got := s.visit(t, r)
				if c := got.Cookies(); got.StatusCode != 303 || len(c) != 1 || c[0].Name != "relcheck" || c[0].Value != "" || c[0].MaxAge >= 0 || c[0].Path != "/" {
					t.Errorf("signing out: got status %d and headers %v, want 303 and a removed cookie", got.StatusCode, got.Header)
				}
			},
			"revoking": func(s *service, id, _ string) { s.revoke(t, id) },
			"signing in again": func(s *service, id, cookie string) {
				r := signInForm(s.link(t, id), "")
				r.Header.Add("Cookie", "relcheck="+cookie)
				if got := s.visit(t, r); got.StatusCode != 303 {
					t.Errorf("signing in again: got status %d, want 303: %s", got.StatusCode, got.body)
				}
			},
		} {
			id, _ := servers[0].token(t)
			cookie, other := servers[0].session(t, id), servers[0].session(t, id)
			read := func(s *service, cookie string) int {
				r := httptest.NewRequest("GET", "/test/readers", nil)
				r.Header.Set("Cookie", "relcheck="+cookie)
				got := s.visit(t, r)
				if removed := strings.Contains(strings.Join(got.Header.Values("Set-Cookie"), "\n"), "relcheck=;"); removed != (got.StatusCode == 401) {
					t.Errorf("%s, %s: got status %d and removed cookie %t, want the cookie removed if 401", what, how, got.StatusCode, removed)
				}
				return got.StatusCode
			}
			for i, s := range servers {
				if got := read(s, cookie); got != 200 {
					t.Errorf("%s, %s: server %d before the end: got status %d, want 200", what, how, i, got)
				}
			}
			end(servers[0], id, cookie)
			if got := read(servers[0], cookie); got != 401 && how != "revoking" { // another process revokes the token
				t.Errorf("%s, %s: same server right after: got status %d, want 401", what, how, got)
			}
			for i, s := range servers {
				for deadline := time.Now().Add(20 * time.Second); read(s, cookie) != 401; time.Sleep(100 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("%s, %s: server %d still accepts the cookie after 20 s", what, how, i)
					}
				}
				if got := read(s, other); (got == 200) != (how != "revoking") {
					t.Errorf("%s, %s: another session of the token: got status %d", what, how, got)
				}
			}
		}
	}
}

func TestSignOut(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	r := httptest.NewRequest("POST", "/sign-out", nil)
	if got := s.visit(t, r); got.StatusCode != 303 || len(got.Cookies()) != 0 {
		t.Errorf("without a session: got status %d and headers %v, want 303 without cookies", got.StatusCode, got.Header)
	}
	if got := s.visit(t, httptest.NewRequest("GET", "/sign-out", nil)); got.StatusCode != 405 {
		t.Errorf("GET /sign-out: got status %d, want 405", got.StatusCode)
	}
}

// TestUnknownSessionsQueryStoreSequentially checks that the unknown cookies of a client
// IP are looked up one at a time, and malformed ones not at all.
func TestUnknownSessionsQueryStoreSequentially(t *testing.T) {
	c := &countingStore{}
	s := newServiceWith(t, serviceOptions{wrap: func(h testStore) server.Store { c.testStore = h; return c }})
	h := s.handler.HandlerWith(testRoutes...)
	id, _ := s.token(t)
	valid := s.session(t, id)
	const from = "192.0.2.1:1"
	if got := ask(h, from, "GET", "/test/readers", withCookie(valid)); got.Code != 200 {
		t.Fatalf("valid cookie: got status %d, want 200", got.Code)
	}
	for range 20 {
		ask(h, from, "GET", "/test/readers", withCookie("rcs_nonsense"))
	}
	if c.lookups != 1 {
		t.Errorf("malformed cookies: got %d look-ups, want 0", c.lookups-1)
	}
	unknown := func() credential {
		_, text := access.NewSession(id, time.Now())
		return withCookie(text)
	}
	for range 10 {
		ask(h, from, "GET", "/test/readers", unknown())
	}
	c.maxConcurrent = 0
	done := make(chan int)
	for range 30 {
		go func() { done <- ask(h, from, "GET", "/test/readers", unknown()).Code }()
	}
	if got := ask(h, from, "GET", "/test/readers", withCookie(valid)); got.Code != 200 {
		t.Errorf("valid cookie among many unknown ones: got status %d, want 200", got.Code)
	}
	for range 30 {
		if got := <-done; got != 401 {
			t.Errorf("unknown cookie: got status %d, want 401", got)
		}
	}
	if c.maxConcurrent > 2 { // an unknown one, and the valid one
		t.Errorf("got up to %d look-ups at a time, want up to 2", c.maxConcurrent)
	}
}
