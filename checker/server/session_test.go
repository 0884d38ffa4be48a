package server_test

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/server"
)

// visit sends a request as a browser does, straight to the handler.
func (s *service) visit(t testing.TB, r *http.Request) reply {
	t.Helper()
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	s.handler.HandlerWith(testRoutes...).ServeHTTP(w, r)
	return reply{w.Result(), w.Body.String()}
}

// form makes the request that the page's form sends.
func form(token, next string) *http.Request {
	r := httptest.NewRequest("POST", "/sign-in", strings.NewReader(url.Values{"token": {token}, "next": {next}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func link(token string) *http.Request {
	return httptest.NewRequest("GET", "/sign-in?token="+url.QueryEscape(token), nil)
}

func TestSignIn(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	_, text := s.token(t)
	for what, r := range map[string]*http.Request{
		"link":       link(text),
		"form":       form(text, ""),
		"spaces":     form(" "+text[:20]+"\r\n"+text[20:]+"\t", ""),
		"capitals":   form(strings.ToUpper(text), ""),
		"whole link": form("http://localhost:8080/sign-in?token="+text, ""),
	} {
		got := s.visit(t, r)
		cookies := got.Cookies()
		if got.StatusCode != 303 || got.Header.Get("Location") != "/" || len(cookies) != 1 {
			t.Errorf("%s: %d %v %s", what, got.StatusCode, got.Header, got.body)
			continue
		}
		if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", what, got.Header)
		}
		if c := cookies[0]; strings.Contains(c.Value, text[13:]) || c.MaxAge != 30*24*60*60 {
			t.Errorf("%s: cookie %v", what, c)
		}
		again := httptest.NewRequest("GET", "/test/readers", nil)
		again.AddCookie(cookies[0])
		if got := s.visit(t, again); got.StatusCode != 200 {
			t.Errorf("%s: the cookie gives %d", what, got.StatusCode)
		}
		again = httptest.NewRequest("GET", "/sign-in?next=/test/readers", nil)
		again.AddCookie(cookies[0])
		if got := s.visit(t, again); got.StatusCode != 303 || got.Header.Get("Location") != "/test/readers" {
			t.Errorf("%s: signing in again: %d %v", what, got.StatusCode, got.Header)
		}
	}
}

func TestSignInFails(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	id, text := s.token(t)
	s.revoke(t, id)
	for what, r := range map[string]*http.Request{"link": link(text), "form": form(text, "/test/readers"), "empty": form("", "")} {
		got := s.visit(t, r)
		if got.StatusCode != 401 || len(got.Cookies()) != 0 || !strings.Contains(got.body, "<form") ||
			!strings.Contains(got.body, "not valid") || strings.Contains(got.body, text) {
			t.Errorf("%s: %d %v %s", what, got.StatusCode, got.Header, got.body)
		}
	}
	if got := s.visit(t, httptest.NewRequest("GET", "/sign-in", nil)); got.StatusCode != 200 || strings.Contains(got.body, "not valid") {
		t.Errorf("the page: %d %s", got.StatusCode, got.body)
	}
	large := form(strings.Repeat("a", 100_000), "")
	if got := s.visit(t, large); got.StatusCode != 400 {
		t.Errorf("a large form: %d", got.StatusCode)
	}
}

// A program that looks at a link, to show what is behind it, signs nobody in.
func TestHeadDoesNotSignIn(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	_, text := s.token(t)
	r := link(text)
	r.Method = "HEAD"
	if got := s.visit(t, r); got.StatusCode != 200 || len(got.Cookies()) != 0 {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
}

func TestCookieAttributes(t *testing.T) {
	for _, c := range []struct {
		base   string
		tls    bool
		name   string
		secure bool
	}{
		{"http://localhost:8080", false, "relcheck", false},
		{"http://localhost:8080", true, "__Host-relcheck", true},
		{"https://releases.example.com", false, "__Host-relcheck", true}, // behind a proxy
	} {
		s := newServiceWith(t, serviceOptions{Options: server.Options{Base: c.base}})
		_, text := s.token(t)
		r := link(text)
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		got := s.visit(t, r)
		if len(got.Cookies()) != 1 {
			t.Fatalf("%+v: %v", c, got.Header)
		}
		k := got.Cookies()[0]
		if k.Name != c.name || k.Secure != c.secure || !k.HttpOnly || k.SameSite != http.SameSiteStrictMode || k.Path != "/" || k.Domain != "" {
			t.Errorf("%+v: %v", c, k)
		}
		if plain := httptest.NewRequest("GET", "/test/readers", nil); c.secure && !c.tls {
			plain.Header.Set("Cookie", "relcheck="+k.Value)
			if got := s.visit(t, plain); got.StatusCode != 401 {
				t.Errorf("%+v: a cookie that anybody in between may have set gives %d", c, got.StatusCode)
			}
		}
	}
}

func TestForgedCookies(t *testing.T) {
	s, other := newServiceWith(t, serviceOptions{}), newServiceWith(t, serviceOptions{})
	id, _ := s.token(t)
	id2, _ := s.token(t)
	in := time.Now().Add(time.Hour)
	good := s.handler.Cookie(id, in)
	part := strings.Split(good, ".")
	long := s.handler.Cookie(id, in.Add(time.Hour))
	status := func(cookie string) int {
		r := httptest.NewRequest("GET", "/test/readers", nil)
		r.Header.Set("Cookie", "relcheck="+cookie)
		return s.visit(t, r).StatusCode
	}
	if status(good) != 200 || status("x; relcheck="+good) != 200 {
		t.Fatal("a good cookie is refused")
	}
	for what, cookie := range map[string]string{
		"expired":              s.handler.Cookie(id, time.Now().Add(-time.Second)),
		"expires now":          s.handler.Cookie(id, time.Now()),
		"another store's":      other.handler.Cookie(id, in),
		"longer":               part[0] + "." + strings.Split(long, ".")[1] + "." + part[2],
		"for another token":    id2 + "." + part[1] + "." + part[2],
		"without a signature":  part[0] + "." + part[1] + ".",
		"without its end":      part[0] + "." + part[1],
		"cut short":            good[:len(good)-1],
		"with more":            good + "A",
		"parts moved":          part[0] + part[1] + ".." + part[2],
		"empty":                "",
		"dots":                 "...",
		"signature of nothing": ".." + part[2],
	} {
		if got := status(cookie); got != 401 {
			t.Errorf("%s: %q gives %d", what, cookie, got)
		}
	}
	for i := range good { // whichever character is changed
		changed := []byte(good)
		changed[i] ^= 1
		if got := status(string(changed)); got != 401 {
			t.Errorf("%q in place of %q gives %d", changed, good, got)
		}
	}
}

// After signing in one goes on to a place on this server, and nowhere else.
func TestNext(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	_, text := s.token(t)
	for next, want := range map[string]string{
		"/products/opa?days=7&os=linux": "/products/opa?days=7&os=linux",
		"/a b":                          "/a%20b",
		"/a?next=//evil.example":        "/a?next=//evil.example",
		"":                              "/",
		"products":                      "/",
		"https://evil.example/":         "/",
		"//evil.example/":               "/",
		"//evil.example/a":              "/",
		"///evil.example/":              "/",
		"/\\evil.example":               "/",
		"\\\\evil.example":              "/",
		"/%2f/evil.example":             "/",
		"/%5cevil.example":              "/%5cevil.example",
		"/\t/evil.example":              "/",
		"\n//evil.example":              "/",
		" //evil.example":               "/",
		"/\r\nSet-Cookie: a=b":          "/",
		"javascript:alert(1)":           "/",
		"http:/evil":                    "/",
		"http:evil":                     "/",
		"?a":                            "/",
		"%2fa":                          "/",
		"/sign-out":                     "/",
		"/sign-in?token=x":              "/",
	} {
		for _, r := range []*http.Request{
			form(text, next),
			httptest.NewRequest("GET", "/sign-in?"+url.Values{"token": {text}, "next": {next}}.Encode(), nil),
		} {
			got := s.visit(t, r)
			to, err := url.Parse(got.Header.Get("Location"))
			if got.StatusCode != 303 || err != nil || to.Host != "" || strings.HasPrefix(to.Path, "//") {
				t.Errorf("%s %q: %d to %q", r.Method, next, got.StatusCode, got.Header.Get("Location"))
			}
			if to := got.Header.Get("Location"); to != want {
				t.Errorf("%s %q: to %q, want %q", r.Method, next, to, want)
			}
		}
	}
}

// A browser that comes by a link on another site sends no cookie, and would send
// none along a redirect. The page makes it ask anew, from here.
func TestLinkFromElsewhere(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	_, text := s.token(t)
	for _, c := range []struct {
		site, referer string
		elsewhere     bool
	}{
		{"cross-site", "", true},
		{"same-site", "", true},
		{"none", "", false}, // typed, or opened by another program
		{"same-origin", "", false},
		{"", "https://mail.example.com/", true},
		{"", "http://example.com/page", false}, // this server, in httptest.NewRequest
		{"", "", false},
	} {
		from := func(r *http.Request) *http.Request {
			r.Header.Set("Sec-Fetch-Site", c.site)
			if c.site == "" {
				r.Header.Del("Sec-Fetch-Site")
			}
			r.Header.Set("Referer", c.referer)
			return r
		}
		in := s.visit(t, from(httptest.NewRequest("GET", "/sign-in?next=/a&token="+text, nil)))
		status, refresh, again := 303, "", ""
		if c.elsewhere {
			status, refresh, again = 200, "0; url=/a", "0; url=/sign-in?next=%2Ftest%2Freaders%3Fa%3Db"
		}
		if in.StatusCode != status || in.Header.Get("Refresh") != refresh || len(in.Cookies()) != 1 {
			t.Errorf("%+v: %d %v", c, in.StatusCode, in.Header)
		}
		refused := s.visit(t, from(httptest.NewRequest("GET", "/test/readers?a=b", nil)))
		if refused.StatusCode != 401 || refused.Header.Get("Refresh") != again {
			t.Errorf("%+v: %d %v", c, refused.StatusCode, refused.Header)
		}
		page := s.visit(t, from(httptest.NewRequest("GET", "/sign-in?next=/a", nil)))
		if page.StatusCode != 200 || page.Header.Get("Refresh") != "" { // or it would never end
			t.Errorf("%+v: the page: %d %v", c, page.StatusCode, page.Header)
		}
	}
}

func TestSignOut(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	r := httptest.NewRequest("POST", "/sign-out", nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	got := s.visit(t, r)
	if got.StatusCode != 303 || len(got.Cookies()) != 1 {
		t.Fatalf("%d %v", got.StatusCode, got.Header)
	}
	if c := got.Cookies()[0]; c.Name != "relcheck" || c.Value != "" || c.MaxAge >= 0 || c.Path != "/" {
		t.Errorf("cookie %v", c)
	}
	if got := s.visit(t, httptest.NewRequest("GET", "/sign-out", nil)); got.StatusCode != 405 {
		t.Errorf("a link signs out: %d", got.StatusCode)
	}
}

func TestCrossOrigin(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{Base: "https://Releases.example.com"}})
	_, text := s.token(t)
	for _, c := range []struct {
		host, site, origin string
		want               int
	}{
		{"releases.example.com", "same-origin", "https://releases.example.com", 303},
		{"releases.example.com", "cross-site", "https://evil.example", 403},
		{"releases.example.com", "same-site", "https://other.example.com", 403},
		{"releases.example.com", "", "https://evil.example", 403},
		{"releases.example.com", "", "null", 403},
		{"10.0.0.1:8080", "", "https://releases.example.com", 303}, // a proxy has changed the host
		{"10.0.0.1:8080", "", "", 303},                             // no browser
	} {
		for _, r := range []*http.Request{form(text, ""), httptest.NewRequest("POST", "/sign-out", nil)} {
			r.Host = c.host
			r.Header.Set("Sec-Fetch-Site", c.site)
			r.Header.Set("Origin", c.origin)
			if got := s.visit(t, r); got.StatusCode != c.want || c.want == 403 && len(got.Cookies()) > 0 {
				t.Errorf("%s %+v: %d %v", r.URL.Path, c, got.StatusCode, got.Header)
			}
		}
	}
}

// locked is a buffer that goroutines share.
type locked struct {
	sync.Mutex
	bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.Buffer.Write(p)
}

// What people send of tokens is never logged, at whatever level, whatever happens.
func TestTokensAreNotLogged(t *testing.T) {
	var log locked
	s := newServiceWith(t, serviceOptions{log: &log, routes: testRoutes, wrap: func(h halves) server.Store { return panicking{h} }})
	_, text := s.token(t)
	for _, r := range []*http.Request{link(text), link(text + "x"), form(text, ""), report(saying("0.12.3"))} {
		r.Header.Set("Authorization", "Bearer "+text)
		s.send(t, r)
	}
	s.Server.Close()
	log.Lock()
	defer log.Unlock()
	if said := log.String(); !strings.Contains(said, "panicked") || strings.Contains(said, text[13:]) {
		t.Errorf("the log: %s", said)
	}
}

// However next is spelt, a browser stays on this server.
func FuzzNext(f *testing.F) {
	for _, s := range []string{"/a?b=c", "//evil", "/\\evil", "/%2f%2fevil", "/./\t/evil", "http:evil", "/..//evil"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, next string) {
		to := server.Local(next)
		if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\t\r\n\x00") {
			t.Errorf("%q leads to %q", next, to)
		}
		base := url.URL{Scheme: "http", Host: "here.example", Path: "/sign-in"}
		if u, err := base.Parse(to); err != nil || u.Host != base.Host || u.Scheme != base.Scheme {
			t.Errorf("%q leads to %v, %v", next, u, err)
		}
	})
}
