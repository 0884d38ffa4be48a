package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/access"
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

// form makes the request that the page's form sends. The browser has its cookie.
func form(text, next string) *http.Request {
	r := httptest.NewRequest("POST", "/sign-in", strings.NewReader(url.Values{"token": {text}, "next": {next}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Cookie", "relcheck-form=1; __Host-relcheck-form=1")
	return r
}

// link adds a sign-in link for the token with an ID, and returns its secret.
func (s *service) link(t testing.TB, id string) string {
	t.Helper()
	g, text := access.NewLink(id, time.Now())
	if err := s.store.AddLink(context.Background(), g); err != nil {
		t.Fatal(err)
	}
	return text
}

func follow(link string) *http.Request {
	return httptest.NewRequest("GET", "/sign-in?link="+url.QueryEscape(link), nil)
}

// hidden returns the fields of a page's sign-in form that the page has filled in.
func hidden(body string) url.Values {
	fields := url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`).FindAllStringSubmatch(body, -1) {
		fields.Add(m[1], m[2])
	}
	return fields
}

func TestSignIn(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	id, text := s.token(t)
	for what, r := range map[string]*http.Request{
		"link":         form(s.link(t, id), ""),
		"whole link":   form("http://localhost:8080/sign-in?link="+s.link(t, id), ""),
		"token":        form(text, ""),
		"spaces":       form(" "+text[:20]+"\r\n"+text[20:]+"\t", ""),
		"capitals":     form(strings.ToUpper(text), ""),
		"earlier link": form("http://localhost:8080/sign-in?token="+text, ""),
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
		if c := cookies[0]; !access.IsSession(c.Value) || strings.Contains(c.Value, text[13:]) || c.MaxAge != 30*24*60*60 {
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

// A link asks first, however often it is opened, and says what it signs in to. It
// signs in once.
func TestLink(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	k, _ := access.NewToken(`<b>Zoë's "laptop"`, access.Read, time.Now())
	if err := s.store.AddToken(context.Background(), k); err != nil {
		t.Fatal(err)
	}
	link := s.link(t, k.ID)
	var page reply
	for _, method := range []string{"HEAD", "GET", "GET"} {
		r := httptest.NewRequest(method, "/sign-in?link="+link+"&next=/a", nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		page = s.visit(t, r)
		if c := page.Cookies(); page.StatusCode != 200 || len(c) != 1 || c[0].Name != "relcheck-form" || c[0].SameSite != http.SameSiteLaxMode {
			t.Errorf("%s: %d %v", method, page.StatusCode, page.Header)
		}
		if page.Header.Get("Cache-Control") != "no-store" || page.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", method, page.Header)
		}
	}
	harmless(t, "/sign-in", page.body)
	for _, want := range []string{"http://relcheck.example.com", "&lt;b&gt;Zoë", k.ID, `action="/sign-in"`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page does not show %s: %s", want, page.body)
		}
	}
	if strings.Contains(page.body, "<script>") || strings.Contains(page.body, `type="password"`) {
		t.Errorf("the page: %s", page.body)
	}
	fields := hidden(page.body)
	if got := s.visit(t, form(fields.Get("token"), fields.Get("next"))); got.StatusCode != 303 || got.Header.Get("Location") != "/a" {
		t.Errorf("%d %v %s", got.StatusCode, got.Header, got.body)
	}
	for what, r := range map[string]*http.Request{"opened": follow(link), "confirmed": form(link, "")} {
		if got := s.visit(t, r); got.StatusCode != 401 || len(got.Cookies()) > 1 || !strings.Contains(got.body, "This link is not valid") || strings.Contains(got.body, link) {
			t.Errorf("%s again: %d %v %s", what, got.StatusCode, got.Header, got.body)
		}
	}
}

func TestSignInFails(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	id, text := s.token(t)
	other, _ := s.token(t)
	link := s.link(t, id)
	expired, expiredText := access.NewLink(other, time.Now().Add(-access.LinkLifetime))
	if err := s.store.AddLink(context.Background(), expired); err != nil {
		t.Fatal(err)
	}
	s.revoke(t, id)
	for what, r := range map[string]*http.Request{
		"token": form(text, "/test/readers"), "empty": form("", ""), "a session": form(s.session(t, other), ""),
		"link": form(link, ""), "opened link": follow(link), "expired link": form(expiredText, ""), "opened expired link": follow(expiredText),
		"cut link": form(link[:20], ""), "opened cut link": follow(link[:20]), "opened token": follow(text),
	} {
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", len(what)) // or there are too many attempts
		got := s.visit(t, r)
		for _, c := range got.Cookies() {
			if c.Name != "relcheck-form" {
				t.Errorf("%s: cookie %v", what, c)
			}
		}
		if got.StatusCode != 401 || !strings.Contains(got.body, "<form") ||
			!strings.Contains(got.body, "not valid") || strings.Contains(got.body, text) || strings.Contains(got.body, link) {
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

// sessionless is a store that cannot write sessions.
type sessionless struct{ halves }

func (sessionless) AddSession(context.Context, access.Grant) error {
	return errors.New("secret detail")
}

func (sessionless) UseLink(context.Context, access.Hash, access.Grant) (bool, error) {
	return false, errors.New("secret detail")
}

func (sessionless) EndSession(context.Context, access.Hash) error {
	return errors.New("secret detail")
}

// While the store cannot be written, signing in and out say so, and a link and a
// cookie stay what they are.
func TestSessionCannotBeStored(t *testing.T) {
	s := newServiceWith(t, serviceOptions{wrap: func(h halves) server.Store { return sessionless{h} }})
	id, text := s.token(t)
	link, cookie := s.link(t, id), s.session(t, id)
	out := httptest.NewRequest("POST", "/sign-out", nil)
	out.Header.Set("Cookie", "relcheck="+cookie)
	for what, r := range map[string]*http.Request{"token": form(text, ""), "link": form(link, ""), "sign out": out} {
		if got := s.visit(t, r); got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || len(got.Cookies()) > 1 || strings.Contains(got.body, "secret") {
			t.Errorf("%s: %d %v %s", what, got.StatusCode, got.Header, got.body)
		}
	}
	if got := s.visit(t, follow(link)); got.StatusCode != 200 {
		t.Errorf("the link gives %d", got.StatusCode)
	}
}

// A browser that returns no cookie hears of it before a link is used up. Where the
// base URL is https and the browser seems to have come over plain HTTP, it hears that.
func TestNoCookieComesBack(t *testing.T) {
	for _, c := range []struct {
		base      string
		headers   []string
		opened    string // in the page that a link opens; nothing if empty
		confirmed string // in the answer to a form without cookies
	}{
		{"http://relcheck.example.com", nil, "", "did not send back the cookie"},
		{"https://relcheck.example.com", nil, "over plain HTTP", "over plain HTTP"},
		{"https://relcheck.example.com", []string{"X-Forwarded-Proto", "http"}, "over plain HTTP", "over plain HTTP"},
		{"https://relcheck.example.com", []string{"X-Forwarded-Proto", "https"}, "", "over plain HTTP"},
		{"https://relcheck.example.com", []string{"Sec-Fetch-Site", "same-origin"}, "", "over plain HTTP"},
	} {
		s := newServiceWith(t, serviceOptions{Options: server.Options{Base: c.base}})
		id, _ := s.token(t)
		link := s.link(t, id)
		send := func(r *http.Request) reply {
			r.Header.Del("Cookie")
			r.Header.Del("Sec-Fetch-Site")
			for i := 0; i < len(c.headers); i += 2 {
				r.Header.Set(c.headers[i], c.headers[i+1])
			}
			return s.visit(t, r)
		}
		opened := send(follow(link))
		if got := strings.Contains(opened.body, `role="alert"`); opened.StatusCode != 200 || got != (c.opened != "") || !strings.Contains(opened.body, c.opened) {
			t.Errorf("%+v: opened: %d %s", c, opened.StatusCode, opened.body)
		}
		confirmed := send(form(link, "/a"))
		if confirmed.StatusCode != 403 || !strings.Contains(confirmed.body, c.confirmed) || !strings.Contains(confirmed.body, link) {
			t.Errorf("%+v: confirmed: %d %s", c, confirmed.StatusCode, confirmed.body)
		}
		if to := c.base + "/sign-in?link=" + link; c.confirmed == "over plain HTTP" && !strings.Contains(confirmed.body, `<a href="`+to) {
			t.Errorf("%+v: there is no link to %s: %s", c, to, confirmed.body)
		}
		if token := send(form("rcr_x", "")); token.StatusCode != 403 || !strings.Contains(token.body, c.confirmed) {
			t.Errorf("%+v: token: %d %s", c, token.StatusCode, token.body)
		}
		if got := s.visit(t, form(link, "")); got.StatusCode != 303 {
			t.Errorf("%+v: the link is used up: %d %s", c, got.StatusCode, got.body)
		}
	}
	s := newService(t)
	r := form("rcr_x", "")
	r.Header.Del("Cookie")
	r.Header.Del("Accept")
	if got := s.send(t, r); got.StatusCode != 403 || !strings.Contains(got.body, `"code":"no_cookie"`) {
		t.Errorf("a program: %d %s", got.StatusCode, got.body)
	}
}

// What another site makes a browser send neither signs in nor out. It asks instead.
func TestCrossOrigin(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{Base: "https://Releases.example.com"}})
	id, text := s.token(t)
	cookie := s.session(t, id)
	for _, c := range []struct {
		host, site, origin, cookies string
		want                        int
	}{
		{"releases.example.com", "same-origin", "https://releases.example.com", "both", 303},
		{"releases.example.com", "same-origin", "null", "both", 303}, // as browsers send it over TLS
		{"releases.example.com", "cross-site", "https://evil.example", "both", 403},
		{"releases.example.com", "cross-site", "null", "both", 403},
		{"releases.example.com", "same-site", "https://other.example.com", "both", 403},
		{"releases.example.com", "", "https://evil.example", "both", 403},
		{"releases.example.com", "", "null", "both", 303},                  // as browsers send it over plain HTTP
		{"releases.example.com", "", "null", "", 403},                      // the same from another site, which gets no strict cookies
		{"10.0.0.1:8080", "", "https://releases.example.com", "both", 303}, // a proxy has changed the host
		{"10.0.0.1:8080", "", "", "both", 303},
	} {
		out := httptest.NewRequest("POST", "/sign-out", nil)
		out.Header.Set("Cookie", "__Host-relcheck="+cookie)
		for _, r := range []*http.Request{form(text, ""), form(s.link(t, id), ""), out} {
			r.Host = c.host
			r.Header.Set("Sec-Fetch-Site", c.site)
			r.Header.Set("Origin", c.origin)
			want := c.want
			if c.cookies == "" {
				r.Header.Del("Cookie")
				if r == out {
					want = 303 // and nothing is done
				}
			}
			got := s.visit(t, r)
			changed := strings.Contains(strings.Join(got.Header.Values("Set-Cookie"), "\n"), "__Host-relcheck=")
			if got.StatusCode != want || changed != (c.want == 303) || got.StatusCode == 403 && !strings.Contains(got.body, "<h1>") {
				t.Errorf("%s %+v: %d %v %s", r.URL.Path, c, got.StatusCode, got.Header, got.body)
			}
			if c.want == 303 && r == out {
				cookie = s.session(t, id)
				out.Header.Set("Cookie", "__Host-relcheck="+cookie)
			}
		}
	}
}

// After signing in one goes on to a place on this server, and nowhere else.
func TestNext(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	id, text := s.token(t)
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
		got := s.visit(t, form(text, next))
		to, err := url.Parse(got.Header.Get("Location"))
		if got.StatusCode != 303 || err != nil || to.Host != "" || strings.HasPrefix(to.Path, "//") {
			t.Errorf("%q: %d to %q", next, got.StatusCode, got.Header.Get("Location"))
		}
		if to := got.Header.Get("Location"); to != want {
			t.Errorf("%q: to %q, want %q", next, to, want)
		}
		r := httptest.NewRequest("GET", "/sign-in?"+url.Values{"link": {s.link(t, id)}, "next": {next}}.Encode(), nil)
		if got := html.UnescapeString(hidden(s.visit(t, r).body).Get("next")); got != want {
			t.Errorf("the page that a link with %q opens leads to %q, want %q", next, got, want)
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
	id, text := s.token(t)
	link, cookie := s.link(t, id), s.session(t, id)
	for _, r := range []*http.Request{follow(text), follow(link), follow(link + "x"), form(text, ""), form(link, ""), report(saying("0.12.3"))} {
		r.Header.Set("Authorization", "Bearer "+text)
		r.Header.Add("Cookie", "relcheck="+cookie)
		s.send(t, r)
	}
	s.Server.Close()
	log.Lock()
	defer log.Unlock()
	if said := log.String(); !strings.Contains(said, "panicked") || strings.Contains(said, text[13:]) || strings.Contains(said, link[4:]) || strings.Contains(said, cookie[4:]) {
		t.Errorf("the log: %s", said)
	}
}

// However next is spelt, a browser stays on this server.
func FuzzNext(f *testing.F) {
	for _, s := range []string{"/a?b=c", "//evil", "/\\evil", "/%2f%2fevil", "/./\t/evil", "http:evil", "/..//evil"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, next string) {
		to := server.LocalURL(next)
		if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\t\r\n\x00") {
			t.Errorf("%q leads to %q", next, to)
		}
		base := url.URL{Scheme: "http", Host: "here.example", Path: "/sign-in"}
		if u, err := base.Parse(to); err != nil || u.Host != base.Host || u.Scheme != base.Scheme {
			t.Errorf("%q leads to %v, %v", next, u, err)
		}
	})
}
