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
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/server"
)

// visit sends a request directly to the handler, as a browser does.
func (s *service) visit(t testing.TB, r *http.Request) reply {
	t.Helper()
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	s.handler.HandlerWith(testRoutes...).ServeHTTP(w, r)
	return reply{w.Result(), w.Body.String()}
}

// signInForm returns the request of the sign-in form. It has the cookie that the form
// requires.
func signInForm(text, next string) *http.Request {
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

func openLink(link string) *http.Request {
	return httptest.NewRequest("GET", "/sign-in?link="+url.QueryEscape(link), nil)
}

// hiddenFields returns the hidden fields of a page's form.
func hiddenFields(body string) url.Values {
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
		"link":         signInForm(s.link(t, id), ""),
		"whole link":   signInForm("http://localhost:8080/sign-in?link="+s.link(t, id), ""),
		"token":        signInForm(text, ""),
		"spaces":       signInForm(" "+text[:20]+"\r\n"+text[20:]+"\t", ""),
		"capitals":     signInForm(strings.ToUpper(text), ""),
		"earlier link": signInForm("http://localhost:8080/sign-in?token="+text, ""),
	} {
		got := s.visit(t, r)
		cookies := got.Cookies()
		if got.StatusCode != 303 || got.Header.Get("Location") != "/" || len(cookies) != 1 {
			t.Errorf("%s: got status %d, headers %v and body %s; want 303 to / with one cookie", what, got.StatusCode, got.Header, got.body)
			continue
		}
		if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: got headers %v, want no-store and no-referrer", what, got.Header)
		}
		if c := cookies[0]; !access.IsSession(c.Value) || strings.Contains(c.Value, text[13:]) || c.MaxAge != 30*24*60*60 {
			t.Errorf("%s: got cookie %v, want a session of 30 days", what, c)
		}
		signedIn := httptest.NewRequest("GET", "/test/readers", nil)
		signedIn.AddCookie(cookies[0])
		if got := s.visit(t, signedIn); got.StatusCode != 200 {
			t.Errorf("%s: with the cookie: got status %d, want 200", what, got.StatusCode)
		}
		signedIn = httptest.NewRequest("GET", "/sign-in?next=/test/readers", nil)
		signedIn.AddCookie(cookies[0])
		if got := s.visit(t, signedIn); got.StatusCode != 303 || got.Header.Get("Location") != "/test/readers" {
			t.Errorf("%s: sign-in page with the cookie: got status %d and headers %v, want 303 to /test/readers", what, got.StatusCode, got.Header)
		}
	}
}

// TestSignInLink checks that opening a link, any number of times, shows a form that names
// the token, and that the form signs in once.
func TestSignInLink(t *testing.T) {
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
			t.Errorf("%s: got status %d and headers %v, want 200 and the form's cookie", method, page.StatusCode, page.Header)
		}
		if page.Header.Get("Cache-Control") != "no-store" || page.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: got headers %v, want no-store and no-referrer", method, page.Header)
		}
	}
	checkHTML(t, "/sign-in", page.body)
	for _, want := range []string{"http://relcheck.example.com", "&lt;b&gt;Zoë", k.ID, `action="/sign-in"`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("got page without %s: %s", want, page.body)
		}
	}
	if strings.Contains(page.body, "<script>") || strings.Contains(page.body, `type="password"`) {
		t.Errorf("got page with a script or a password field: %s", page.body)
	}
	fields := hiddenFields(page.body)
	if got := s.visit(t, signInForm(fields.Get("token"), fields.Get("next"))); got.StatusCode != 303 || got.Header.Get("Location") != "/a" {
		t.Errorf("form: got status %d, headers %v and body %s; want 303 to /a", got.StatusCode, got.Header, got.body)
	}
	for what, r := range map[string]*http.Request{"opened": openLink(link), "confirmed": signInForm(link, "")} {
		if got := s.visit(t, r); got.StatusCode != 401 || len(got.Cookies()) > 1 || !strings.Contains(got.body, "This link is not valid") || strings.Contains(got.body, link) {
			t.Errorf("used link %s: got status %d, headers %v and body %s; want 401, no session, and a page without the link", what, got.StatusCode, got.Header, got.body)
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
		"token": signInForm(text, "/test/readers"), "empty": signInForm("", ""), "a session": signInForm(s.session(t, other), ""),
		"link": signInForm(link, ""), "opened link": openLink(link), "expired link": signInForm(expiredText, ""), "opened expired link": openLink(expiredText),
		"truncated link": signInForm(link[:20], ""), "opened truncated link": openLink(link[:20]), "opened token": openLink(text),
	} {
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", len(what)) // a client IP with too many attempts is throttled
		got := s.visit(t, r)
		for _, c := range got.Cookies() {
			if c.Name != "relcheck-form" {
				t.Errorf("%s: got cookie %v, want no session", what, c)
			}
		}
		if got.StatusCode != 401 || !strings.Contains(got.body, "<form") ||
			!strings.Contains(got.body, "not valid") || strings.Contains(got.body, text) || strings.Contains(got.body, link) {
			t.Errorf("%s: got status %d, headers %v and body %s; want 401 and a form without the token or link", what, got.StatusCode, got.Header, got.body)
		}
	}
	if got := s.visit(t, httptest.NewRequest("GET", "/sign-in", nil)); got.StatusCode != 200 || strings.Contains(got.body, "not valid") {
		t.Errorf("page without a token: got status %d and body %s, want 200 without an error", got.StatusCode, got.body)
	}
	large := signInForm(strings.Repeat("a", 2<<20), "")
	if got := s.visit(t, large); got.StatusCode != 413 {
		t.Errorf("large form: got status %d, want 413", got.StatusCode)
	}
}

// failingSessionStore is a store that cannot write sessions.
type failingSessionStore struct{ testStore }

func (failingSessionStore) AddSession(context.Context, access.Grant) error {
	return errors.New("secret detail")
}

func (failingSessionStore) UseLink(context.Context, access.Hash, access.Grant) (bool, error) {
	return false, errors.New("secret detail")
}

func (failingSessionStore) EndSession(context.Context, access.Hash) error {
	return errors.New("secret detail")
}

// TestSignInWhenStoreFails checks that signing in and out fails with status 503 if the
// store cannot be written, and that the link and the cookie stay valid.
func TestSignInWhenStoreFails(t *testing.T) {
	s := newServiceWith(t, serviceOptions{wrap: func(h testStore) server.Store { return failingSessionStore{h} }})
	id, text := s.token(t)
	link, cookie := s.link(t, id), s.session(t, id)
	out := httptest.NewRequest("POST", "/sign-out", nil)
	out.Header.Set("Cookie", "relcheck="+cookie)
	for what, r := range map[string]*http.Request{"token": signInForm(text, ""), "link": signInForm(link, ""), "sign out": out} {
		if got := s.visit(t, r); got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || len(got.Cookies()) > 1 || strings.Contains(got.body, "secret") {
			t.Errorf("%s: got status %d, headers %v and body %s; want 503 with Retry-After and without the error", what, got.StatusCode, got.Header, got.body)
		}
	}
	if got := s.visit(t, openLink(link)); got.StatusCode != 200 {
		t.Errorf("link: got status %d, want 200", got.StatusCode)
	}
}

// TestSignInWithoutCookie checks that the page explains why signing in fails if a browser
// returns no cookie, and that the link is not used up. If the base URL is https, the reason
// is that the browser seems to use plain HTTP.
func TestSignInWithoutCookie(t *testing.T) {
	for _, c := range []struct {
		base      string
		headers   []string
		opened    string // text of the alert in the page that a link opens; empty for no alert
		confirmed string // text in the response to a form without cookies
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
		opened := send(openLink(link))
		if got := strings.Contains(opened.body, `role="alert"`); opened.StatusCode != 200 || got != (c.opened != "") || !strings.Contains(opened.body, c.opened) {
			t.Errorf("%+v: opened link: got status %d, alert %t, body %s", c, opened.StatusCode, got, opened.body)
		}
		confirmed := send(signInForm(link, "/a"))
		if confirmed.StatusCode != 403 || !strings.Contains(confirmed.body, c.confirmed) || !strings.Contains(confirmed.body, link) {
			t.Errorf("%+v: form with a link: got status %d, want 403 with the link: %s", c, confirmed.StatusCode, confirmed.body)
		}
		if to := c.base + "/sign-in?link=" + link; c.confirmed == "over plain HTTP" && !strings.Contains(confirmed.body, `<a href="`+to) {
			t.Errorf("%+v: form with a link: got no link to %s: %s", c, to, confirmed.body)
		}
		if token := send(signInForm("rcr_x", "")); token.StatusCode != 403 || !strings.Contains(token.body, c.confirmed) {
			t.Errorf("%+v: form with a token: got status %d, want 403: %s", c, token.StatusCode, token.body)
		}
		if got := s.visit(t, signInForm(link, "")); got.StatusCode != 303 {
			t.Errorf("%+v: form with a link and the cookie: got status %d, want 303: %s", c, got.StatusCode, got.body)
		}
	}
	used := newServiceWith(t, serviceOptions{Options: server.Options{Base: "https://relcheck.example.com"}})
	r := openLink("rcl_used")
	r.Header.Del("Sec-Fetch-Site")
	for cookie, plain := range map[string]bool{"": true, "__Host-relcheck-form=1": false} {
		r.Header.Set("Cookie", cookie)
		if got := used.visit(t, r); strings.Contains(got.body, "over plain HTTP") != plain || !strings.Contains(got.body, "This link is not valid") {
			t.Errorf("invalid link with cookie %q: got status %d and body %s, want the reason, and the hint at HTTPS: %t", cookie, got.StatusCode, got.body, plain)
		}
	}
	s := newService(t)
	r = signInForm("rcr_x", "")
	r.Header.Del("Cookie")
	r.Header.Del("Accept")
	if got := s.send(t, r); got.StatusCode != 403 || !strings.Contains(got.body, `"code":"no_cookie"`) {
		t.Errorf("program: got status %d and body %s, want 403 and code no_cookie", got.StatusCode, got.body)
	}
}

// TestSignInCrossOrigin checks that a request that another site makes a browser send
// neither signs in nor out.
func TestSignInCrossOrigin(t *testing.T) {
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
		{"releases.example.com", "", "null", "", 403},                      // the same from another site: strict cookies are not sent
		{"10.0.0.1:8080", "", "https://releases.example.com", "both", 303}, // behind a proxy that changes the host
		{"10.0.0.1:8080", "", "", "both", 303},
	} {
		out := httptest.NewRequest("POST", "/sign-out", nil)
		out.Header.Set("Cookie", "__Host-relcheck="+cookie)
		for _, r := range []*http.Request{signInForm(text, ""), signInForm(s.link(t, id), ""), out} {
			r.Host = c.host
			r.Header.Set("Sec-Fetch-Site", c.site)
			r.Header.Set("Origin", c.origin)
			want := c.want
			if c.cookies == "" {
				r.Header.Del("Cookie")
				if r == out {
					want = 303 // but the session does not end
				}
			}
			got := s.visit(t, r)
			changed := strings.Contains(strings.Join(got.Header.Values("Set-Cookie"), "\n"), "__Host-relcheck=")
			if got.StatusCode != want || changed != (c.want == 303) || got.StatusCode == 403 && !strings.Contains(got.body, "<h1>") {
				t.Errorf("%s %+v: got status %d, headers %v and body %s; want %d", r.URL.Path, c, got.StatusCode, got.Header, got.body, want)
			}
			if c.want == 303 && r == out {
				cookie = s.session(t, id)
				out.Header.Set("Cookie", "__Host-relcheck="+cookie)
			}
		}
	}
}

// TestRedirectAfterSignIn checks that signing in redirects to a path on this server only.
func TestRedirectAfterSignIn(t *testing.T) {
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
		got := s.visit(t, signInForm(text, next))
		to, err := url.Parse(got.Header.Get("Location"))
		if got.StatusCode != 303 || err != nil || to.Host != "" || strings.HasPrefix(to.Path, "//") {
			t.Errorf("next %q: got status %d to %q, want 303 to a path", next, got.StatusCode, got.Header.Get("Location"))
		}
		if to := got.Header.Get("Location"); to != want {
			t.Errorf("next %q: got redirect to %q, want %q", next, to, want)
		}
		r := httptest.NewRequest("GET", "/sign-in?"+url.Values{"link": {s.link(t, id)}, "next": {next}}.Encode(), nil)
		if got := html.UnescapeString(hiddenFields(s.visit(t, r).body).Get("next")); got != want {
			t.Errorf("opened link with next %q: got field %q, want %q", next, got, want)
		}
	}
}

// syncBuffer is a buffer for concurrent use.
type syncBuffer struct {
	sync.Mutex
	bytes.Buffer
}

func (l *syncBuffer) Write(p []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.Buffer.Write(p)
}

// TestTokensAreNotLogged checks that no token, link or session is logged, at any level,
// even after a panic.
func TestTokensAreNotLogged(t *testing.T) {
	var log syncBuffer
	s := newServiceWith(t, serviceOptions{log: &log, routes: testRoutes, wrap: func(h testStore) server.Store { return panickingStore{h} }})
	id, text := s.token(t)
	link, cookie := s.link(t, id), s.session(t, id)
	for _, r := range []*http.Request{openLink(text), openLink(link), openLink(link + "x"), signInForm(text, ""), signInForm(link, ""), report(reportBody("0.12.3"))} {
		r.Header.Set("Authorization", "Bearer "+text)
		r.Header.Add("Cookie", "relcheck="+cookie)
		s.send(t, r)
	}
	s.Server.Close()
	log.Lock()
	defer log.Unlock()
	if got := log.String(); !strings.Contains(got, "panicked") || strings.Contains(got, text[13:]) || strings.Contains(got, link[4:]) || strings.Contains(got, cookie[4:]) {
		t.Errorf("got log %s, want one with the panic and without secrets", got)
	}
}

// FuzzLocalURL checks that a browser resolves every result of localURL to this server.
func FuzzLocalURL(f *testing.F) {
	for _, s := range []string{"/a?b=c", "//evil", "/\\evil", "/%2f%2fevil", "/./\t/evil", "http:evil", "/..//evil", "/releases/products/opa?days=90", "/releases/%2e%2e/evil", "/releases2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, next string) {
		for _, root := range []string{"", "/releases"} {
			to := server.LocalURL(root, next)
			if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\t\r\n\x00") {
				t.Errorf("LocalURL(%q, %q) = %q, want a path on this server", root, next, to)
			}
			base := url.URL{Scheme: "http", Host: "here.example", Path: root + "/sign-in"}
			if u, err := base.Parse(to); err != nil || u.Host != base.Host || u.Scheme != base.Scheme || !strings.HasPrefix(path.Clean(u.Path)+"/", root+"/") {
				t.Errorf("LocalURL(%q, %q) resolves to %v (error %v), want this server", root, next, u, err)
			}
		}
	})
}
