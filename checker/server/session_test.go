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
		for name, r := range map[string]*http.Request{"relcheck": form(text, ""), "relcheck-form": httptest.NewRequest("GET", "/sign-in", nil)} {
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			got := s.visit(t, r)
			if len(got.Cookies()) != 1 {
				t.Fatalf("%+v: %v", c, got.Header)
			}
			k := got.Cookies()[0]
			if k.Name != c.prefix+name || k.Secure != (c.prefix != "") || !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Path != "/" || k.Domain != "" {
				t.Errorf("%+v: %v", c, k)
			}
			if plain := httptest.NewRequest("GET", "/test/readers", nil); c.prefix != "" && !c.tls {
				plain.Header.Set("Cookie", name+"="+k.Value)
				if got := s.visit(t, plain); got.StatusCode != 401 {
					t.Errorf("%+v: a cookie that anybody in between may have set gives %d", c, got.StatusCode)
				}
			}
		}
	}
}

func TestForgedCookies(t *testing.T) {
	s, other := newServiceWith(t, serviceOptions{}), newServiceWith(t, serviceOptions{})
	id, token := s.token(t)
	good := s.session(t, id)
	_, unknown := access.NewSession(id, time.Now())
	expired, expiredText := access.NewSession(id, time.Now().Add(-access.SessionLifetime))
	if err := s.store.AddSession(context.Background(), expired); err != nil {
		t.Fatal(err)
	}
	from := 0
	status := func(cookie string) int {
		from++
		return ask(s.handler.HandlerWith(testRoutes...), "192.0.2."+string(rune('0'+from/5))+":1", "GET", "/test/readers", withCookie(cookie)).Code
	}
	if status(good) != 200 || status("x; relcheck="+good) != 200 {
		t.Fatal("a good cookie is refused")
	}
	hash := access.HashOf(good)
	for what, cookie := range map[string]string{
		"expired": expiredText, "unknown": unknown, "another store's": other.session(t, id), "a link": s.link(t, id), "a token": token,
		"its hash": string(hash[:]), "cut short": good[:len(good)-1], "with more": good + "a", "in capitals": strings.ToUpper(good),
		"empty": "", "stateless": id + ".4000000000.AAAA", "with another prefix": "rcl_" + good[4:],
	} {
		if got := status(cookie); got != 401 {
			t.Errorf("%s: %q gives %d", what, cookie, got)
		}
	}
}

// What ends a session ends the copies of its cookie on all servers of a store within
// seconds, and removes the cookie from browsers.
func TestSessionEnds(t *testing.T) {
	one := newServiceWith(t, serviceOptions{})
	two := newServiceWith(t, serviceOptions{at: pgtest.Database(t)})
	three := newServiceWith(t, serviceOptions{at: two.path})
	for what, servers := range map[string][]*service{"one server": {one}, "two servers": {two, three}} {
		for how, end := range map[string]func(s *service, id, cookie string){
			"signing out": func(s *service, _, cookie string) {
				r := httptest.NewRequest("POST", "/sign-out", nil)
				r.Header.Set("Sec-Fetch-Site", "same-origin")
				r.Header.Set("Cookie", "relcheck="+cookie)
				got := s.visit(t, r)
				if c := got.Cookies(); got.StatusCode != 303 || len(c) != 1 || c[0].Name != "relcheck" || c[0].Value != "" || c[0].MaxAge >= 0 || c[0].Path != "/" {
					t.Errorf("%d %v", got.StatusCode, got.Header)
				}
			},
			"revoking": func(s *service, id, _ string) { s.revoke(t, id) },
			"signing in again": func(s *service, id, cookie string) {
				r := form(s.link(t, id), "")
				r.Header.Add("Cookie", "relcheck="+cookie)
				if got := s.visit(t, r); got.StatusCode != 303 {
					t.Errorf("%d %s", got.StatusCode, got.body)
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
					t.Errorf("%s, %s: %d %v", what, how, got.StatusCode, got.Header)
				}
				return got.StatusCode
			}
			for i, s := range servers {
				if got := read(s, cookie); got != 200 {
					t.Errorf("%s, %s: at first server %d gives %d", what, how, i, got)
				}
			}
			end(servers[0], id, cookie)
			if got := read(servers[0], cookie); got != 401 && how != "revoking" { // which is another process's
				t.Errorf("%s, %s: the same server gives %d", what, how, got)
			}
			for i, s := range servers {
				for deadline := time.Now().Add(20 * time.Second); read(s, cookie) != 401; time.Sleep(100 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("%s, %s: the cookie goes on at server %d", what, how, i)
					}
				}
				if got := read(s, other); (got == 200) != (how != "revoking") {
					t.Errorf("%s, %s: another session gives %d", what, how, got)
				}
			}
		}
	}
}

func TestSignOut(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	r := httptest.NewRequest("POST", "/sign-out", nil)
	if got := s.visit(t, r); got.StatusCode != 303 || len(got.Cookies()) != 0 {
		t.Errorf("without a session: %d %v", got.StatusCode, got.Header)
	}
	if got := s.visit(t, httptest.NewRequest("GET", "/sign-out", nil)); got.StatusCode != 405 {
		t.Errorf("a link signs out: %d", got.StatusCode)
	}
}

// A client IP that sends many cookies that are none has them looked up one after the
// other.
func TestUnknownSessionsTakeLittle(t *testing.T) {
	c := &counted{}
	s := newServiceWith(t, serviceOptions{wrap: func(h halves) server.Store { c.halves = h; return c }})
	h := s.handler.HandlerWith(testRoutes...)
	id, _ := s.token(t)
	good := s.session(t, id)
	const from = "192.0.2.1:1"
	if got := ask(h, from, "GET", "/test/readers", withCookie(good)); got.Code != 200 {
		t.Fatalf("a good cookie gives %d", got.Code)
	}
	for range 20 {
		ask(h, from, "GET", "/test/readers", withCookie("rcs_nonsense"))
	}
	if c.all != 1 {
		t.Errorf("the store was asked %d times for what is no session", c.all-1)
	}
	unknown := func() credential {
		_, text := access.NewSession(id, time.Now())
		return withCookie(text)
	}
	for range 10 {
		ask(h, from, "GET", "/test/readers", unknown())
	}
	c.most = 0
	done := make(chan int)
	for range 30 {
		go func() { done <- ask(h, from, "GET", "/test/readers", unknown()).Code }()
	}
	if got := ask(h, from, "GET", "/test/readers", withCookie(good)); got.Code != 200 {
		t.Errorf("beside many that are none, a good cookie gives %d", got.Code)
	}
	for range 30 {
		if got := <-done; got != 401 {
			t.Errorf("an unknown session gives %d", got)
		}
	}
	if c.most > 2 { // one of them, and the good one
		t.Errorf("the store was asked %d times at once", c.most)
	}
}
