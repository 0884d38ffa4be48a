package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/server"
)

// What everyone may ask for. Whatever else there is refuses who has no token.
var public = map[string]bool{
	"POST /v1/version":                                          true,
	"POST /p/{product}/v1/version":                              true,
	"GET /repos/{owner}/{repo}/releases/latest":                 true,
	"GET /p/{product}/repos/{owner}/{repo}/releases/latest":     true,
	"OPTIONS /v1/version":                                       true,
	"OPTIONS /p/{product}/v1/version":                           true,
	"OPTIONS /repos/{owner}/{repo}/releases/latest":             true,
	"OPTIONS /p/{product}/repos/{owner}/{repo}/releases/latest": true,
	"GET /healthz":                    true,
	"GET /readyz":                     true,
	"GET /{$}":                        true,
	"GET /connect":                    true,
	"GET /products/{product}/{$}":     true,
	"GET /products/{product}/connect": true,
	"GET /privacy":                    true,
	"GET /assets/{name}":              true,
	"GET /sign-in":                    true,
	"POST /sign-in":                   true,
	"POST /sign-out":                  true,
}

// What everyone may ask for if the operator has said so.
var publicStats = map[string]bool{
	"GET /test/viewers":                            true,
	"GET /products/{product}":                      true,
	"GET /products/{product}/releases":             true,
	"GET /api/v1/products":                         true,
	"GET /api/v1/products/{product}/stats":         true,
	"GET /api/v1/products/{product}/stats/{table}": true,
}

var testRoutes = []server.Route{
	{Pattern: "GET /test/readers", Requires: server.ReadStats},
	{Pattern: "GET /test/viewers", Requires: server.ViewStats},
	{Pattern: "GET /api/test/{name}", Requires: server.ReadStats},
}

// token adds a token to the service's store.
func (s *service) token(t testing.TB) (id, text string) {
	t.Helper()
	return s.tokenOf(t, access.Read)
}

func (s *service) tokenOf(t testing.TB, scope access.Scope) (id, text string) {
	t.Helper()
	k, text := access.NewToken("test", scope, time.Now())
	if err := s.store.AddToken(context.Background(), k); err != nil {
		t.Fatal(err)
	}
	return k.ID, text
}

func (s *service) revoke(t testing.TB, id string) {
	t.Helper()
	if err := s.store.RevokeToken(context.Background(), id, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// credential is how somebody wants to be let in.
type credential struct{ header, value string }

func bearer(text string) credential     { return credential{"Authorization", "Bearer " + text} }
func withCookie(text string) credential { return credential{"Cookie", "relcheck=" + text} }

// session signs in by the token with an ID, which may be unknown, and returns the cookie.
func (s *service) session(t testing.TB, id string) (cookie string) {
	t.Helper()
	g, text := access.NewSession(id, time.Now())
	if err := s.store.AddSession(context.Background(), g); err != nil {
		t.Fatal(err)
	}
	return text
}

// ask sends a request straight to the handler, from an address.
func ask(h http.Handler, from, method, path string, c credential, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = from
	if c.header != "" {
		r.Header.Set(c.header, c.value)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// sample returns a request that a pattern matches.
func sample(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, wildcard.ReplaceAllString(strings.ReplaceAll(path, "{$}", ""), "opa")
}

// lets returns the scopes that a route is for which is not public. A new one that
// changes something is for administrators, or it has to be named here.
func lets(pattern string) []access.Scope {
	method, path, _ := strings.Cut(pattern, " ")
	switch ofReleases := strings.HasPrefix(path, "/api/v1/products/{product}/releases"); {
	case ofReleases && method == "GET":
		return []access.Scope{access.Read, access.Release, access.Admin}
	case ofReleases:
		return []access.Scope{access.Release, access.Admin}
	case method == "GET":
		return []access.Scope{access.Read, access.Admin}
	}
	return []access.Scope{access.Admin}
}

// walker asks for every route of a service as those do who may not.
type walker struct {
	*service
	h      http.Handler
	asked  int
	tokens map[access.Scope][2]string // id and text, by scope
	wrong  []string                   // what was let in, or refused in the wrong way
}

// from is another address each time, or soon there would be too many attempts.
func (w *walker) from() string {
	w.asked++
	return fmt.Sprintf("10.%d.%d.%d:1", w.asked>>16, w.asked>>8&255, w.asked&255)
}

// statusProbe asks, and wants a refusal of the status and code, or of either of two.
func (w *walker) refused(pattern, what string, c credential, status int, codes string, headers ...string) {
	method, path := sample(pattern)
	got := ask(w.h, w.from(), method, path, c, headers...)
	var said struct {
		Error struct{ Code, Message string }
	}
	json.Unmarshal(got.Body.Bytes(), &said)
	challenge := status != 401 || got.Header().Get("WWW-Authenticate") == "Bearer"
	kept := got.Header().Get("Cache-Control") == "no-store" || strings.Contains(codes, "cross_origin")
	if got.Code != status || !slices.Contains(strings.Fields(codes), said.Error.Code) || said.Error.Message == "" || !challenge || !kept {
		w.wrong = append(w.wrong, fmt.Sprintf("%s with %s: %d %v %s", pattern, what, got.Code, got.Header(), got.Body))
	}
}

// walk returns what is wrong with how the routes refuse.
func (s *service) walk(t *testing.T, patterns []string, more ...server.Route) []string {
	w := &walker{service: s, h: s.handler.HandlerWith(more...), tokens: map[access.Scope][2]string{}}
	for _, scope := range access.Scopes {
		id, text := s.tokenOf(t, scope)
		w.tokens[scope] = [2]string{id, text}
	}
	id, revoked := s.tokenOf(t, access.Admin)
	s.revoke(t, id)
	_, unknown := access.NewToken("unknown", access.Admin, time.Now())
	_, odd := s.tokenOf(t, "odd")
	valid := w.tokens[access.Admin]
	_, unknownSession := access.NewSession(valid[0], time.Now())
	sessionOfRevoked, sessionOfUnknown, sessionOfPipeline := s.session(t, id), s.session(t, "aaaaaaaa"), s.session(t, w.tokens[access.Release][0])
	sessionOfAdmin := s.session(t, valid[0])
	for _, pattern := range patterns {
		for what, c := range map[string]credential{
			"nothing":              {},
			"an unknown token":     bearer(unknown),
			"a revoked token":      bearer(revoked),
			"no token":             bearer("x"),
			"an empty token":       bearer(""),
			"a valid one's id":     bearer(valid[1][:13] + unknown[13:]),
			"another scheme":       {"Authorization", "Basic eDp5"},
			"a revoked session":    withCookie(sessionOfRevoked),
			"an unknown token's":   withCookie(sessionOfUnknown),
			"an unknown session":   withCookie(unknownSession),
			"no session":           withCookie("aaaaaaaa.4000000000.AAAA"),
			"a pipeline's session": withCookie(sessionOfPipeline),
		} {
			w.refused(pattern, what, c, 401, "sign_in invalid_token")
		}
		allowed := lets(pattern)
		for scope, k := range w.tokens {
			if !slices.Contains(allowed, scope) {
				w.refused(pattern, "a token of scope "+string(scope), bearer(k[1]), 403, "insufficient_scope")
			}
		}
		w.refused(pattern, "a token of a scope to come", bearer(odd), 403, "insufficient_scope")
		if strings.HasPrefix(pattern, "GET ") {
			continue
		}
		w.refused(pattern, "an administrator's cookie", withCookie(sessionOfAdmin), 401, "sign_in")
		w.refused(pattern, "a valid token from another site", bearer(valid[1]), 403, "cross_origin", "Sec-Fetch-Site", "cross-site")
		w.refused(pattern, "a valid token and another origin", bearer(valid[1]), 403, "cross_origin", "Origin", "https://evil.example")
	}
	return w.wrong
}

// A new route that is not on one of the lists above refuses who may not, or this
// fails. Whoever may is let in.
func TestEveryRouteIsGuarded(t *testing.T) {
	for _, publicToo := range []bool{false, true} {
		s := newServiceWith(t, serviceOptions{Options: server.Options{PublicStats: publicToo, PublicThreshold: 10}})
		patterns := s.handler.Patterns()
		for _, r := range testRoutes {
			patterns = append(patterns, r.Pattern)
		}
		patterns = slices.DeleteFunc(patterns, func(p string) bool { return public[p] || publicToo && publicStats[p] })
		for _, wrong := range s.walk(t, patterns, testRoutes...) {
			t.Errorf("public %v, %s", publicToo, wrong)
		}
		h, from := s.handler.HandlerWith(testRoutes...), 0
		for _, pattern := range patterns {
			for _, scope := range lets(pattern) {
				_, text := s.tokenOf(t, scope)
				method, path := sample(pattern)
				from++
				got := ask(h, fmt.Sprintf("10.1.1.%d:1", from), method, path, bearer(text))
				if got.Code == 401 || got.Code == 403 {
					t.Errorf("%s refuses a token of scope %s: %d %s", pattern, scope, got.Code, got.Body)
				}
			}
		}
	}
}

// The control: to walk finds what somebody forgot.
func TestWalkFindsTheUnguarded(t *testing.T) {
	s := newService(t)
	for _, r := range []server.Route{
		{Pattern: "GET /test/open", Requires: server.Open},
		{Pattern: "PUT /test/open", Requires: server.Open},
		{Pattern: "POST /test/like-a-page", Requires: server.ReadStats},
		{Pattern: "DELETE /test/by-anybody", Requires: server.AnyToken},
		{Pattern: "PUT /test/by-pipelines", Requires: server.ReleaseToken},
		{Pattern: "GET /test/by-anybody", Requires: server.AnyToken},
	} {
		if wrong := s.walk(t, []string{r.Pattern}, r); len(wrong) == 0 {
			t.Errorf("nothing was found to be wrong with %+v", r)
		}
	}
	silent := server.Route{Pattern: "POST /test/silent"} // who it is for
	if wrong := s.walk(t, []string{silent.Pattern}, silent); len(wrong) > 0 {
		t.Errorf("a route that does not say who it is for: %v", wrong)
	}
}

func TestAudience(t *testing.T) {
	for _, publicToo := range []bool{false, true} {
		s := newServiceWith(t, serviceOptions{Options: server.Options{PublicStats: publicToo}, routes: testRoutes})
		id, text := s.token(t)
		cookie := s.session(t, id)
		viewers := "401 "
		if publicToo {
			viewers = "200 public"
		}
		for _, c := range []struct {
			credential
			path, want string
		}{
			{bearer(text), "/test/readers", "200 reader"},
			{bearer(text), "/test/viewers", "200 reader"},
			{credential{"Authorization", "bEARER  " + text + " "}, "/test/readers", "200 reader"},
			{bearer(strings.ToUpper(text)), "/test/readers", "200 reader"},
			{withCookie(cookie), "/test/readers", "200 reader"},
			{withCookie("x; relcheck=" + cookie), "/test/readers", "200 reader"},
			{credential{}, "/test/readers", "401 "},
			{credential{}, "/test/viewers", viewers},
			{withCookie("x"), "/test/viewers", viewers},
			{bearer("x"), "/test/viewers", "401 "}, // who sends a token means to be let in
			{bearer(text[:len(text)-1]), "/test/readers", "401 "},
			{bearer(id), "/test/readers", "401 "},
		} {
			r := httptest.NewRequest("GET", c.path, nil)
			if c.header != "" {
				r.Header.Set(c.header, c.value)
			}
			got := s.send(t, r)
			said := fmt.Sprint(got.StatusCode, " ")
			if got.StatusCode == 200 {
				said += got.body
			}
			if said != c.want || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("public %v, %s with %q: got %s, want %s; %v", publicToo, c.path, c.value, said, c.want, got.Header)
			}
		}
	}
}

// Programs are told in JSON, people get the page on which they can sign in.
func TestRefusal(t *testing.T) {
	s := newServiceWith(t, serviceOptions{routes: testRoutes})
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	for _, c := range []struct {
		path, accept string
		page         bool
	}{
		{"/test/readers?days=7", browser, true},
		{"/test/readers", "*/*", false},
		{"/test/readers", "", false},
		{"/api/test/a", browser, false},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Header.Set("Accept", c.accept)
		got := s.send(t, r)
		if got.StatusCode != 401 || got.Header.Get("WWW-Authenticate") != "Bearer" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%+v: %d %v", c, got.StatusCode, got.Header)
		}
		kind, holds := "application/json", `{"error":{"code":"sign_in","message":"`
		if c.page {
			kind, holds = "text/html; charset=utf-8", `value="/test/readers?days=7"`
		}
		if got.Header.Get("Content-Type") != kind || !strings.Contains(got.body, holds) {
			t.Errorf("%+v: %v %s", c, got.Header, got.body)
		}
		if policy := got.Header.Get("Content-Security-Policy"); c.page && !strings.HasPrefix(policy, "default-src 'none';") {
			t.Errorf("the page has policy %q", policy)
		}
	}
}

// A token that was revoked, by another process too, lets in for seconds at most.
func TestRevoked(t *testing.T) {
	s := newServiceWith(t, serviceOptions{routes: testRoutes})
	id, text := s.token(t)
	cookie := s.session(t, id)
	credentials := []credential{bearer(text), withCookie(cookie)}
	status := func(c credential) int {
		r := httptest.NewRequest("GET", "/test/readers", nil)
		r.Header.Set(c.header, c.value)
		return s.send(t, r).StatusCode
	}
	for _, c := range credentials {
		if got := status(c); got != 200 {
			t.Errorf("before: %s gives %d", c.header, got)
		}
	}
	s.revoke(t, id)
	time.Sleep(1100 * time.Millisecond)
	for _, c := range credentials {
		if got := status(c); got != 401 {
			t.Errorf("afterwards: %s gives %d", c.header, got)
		}
	}
}

// Who tries one token after the other is no longer told that it is wrong. Those
// with a valid one do not have to wait, wherever they are.
func TestAttempts(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	h := s.handler.HandlerWith(testRoutes...)
	id, old := s.token(t)
	_, fresh := s.token(t)
	gone, revoked := s.token(t)
	s.revoke(t, gone)
	_, wrong := access.NewToken("wrong", access.Read, time.Now())
	cookie := s.session(t, id)
	ask(h, "[2001:db8::5]:1", "GET", "/test/readers", bearer(old)) // seen before
	tried := 0
	for ; tried < 100; tried++ {
		from := fmt.Sprintf("[2001:db8::%x]:1", tried) // one network
		c, path := credential{}, "/sign-in"
		switch {
		case tried == 1: // which is never answered with 429
			_, wrong := access.NewSession("aaaaaaaa", time.Now())
			c, path = withCookie(wrong), "/test/readers"
		case tried%2 == 0:
			_, wrong := access.NewLink("aaaaaaaa", time.Now())
			path += "?link=" + wrong
		default:
			_, wrong := access.NewToken("wrong", access.Read, time.Now())
			c, path = bearer(wrong), "/test/readers"
		}
		if got := ask(h, from, "GET", path, c); got.Code == 429 {
			break
		}
	}
	if tried != 10 {
		t.Errorf("%d tokens could be tried", tried)
	}
	for _, c := range []struct {
		from string
		credential
		want int
	}{
		{"[2001:db8::5]:1", bearer(fresh), 200}, // not seen before
		{"[2001:db8::5]:1", bearer(wrong), 429},
		{"[2001:db8::5]:1", bearer(revoked), 429},
		{"[2001:db8::5]:1", bearer(fresh[:13] + wrong[13:]), 429},
		{"[2001:db8::5]:1", bearer("x"), 429},
		{"[2001:db8::5]:1", bearer(old), 200},
		{"[2001:db8::5]:1", withCookie(cookie), 200},
		{"[2001:db8::5]:1", credential{}, 401},
		{"[2001:db8:0:1::5]:1", bearer(fresh), 200},
		{"[2001:db8:0:1::5]:1", bearer(wrong), 401},
		{"192.0.2.1:1", bearer(fresh), 200},
	} {
		got := ask(h, c.from, "GET", "/test/readers", c.credential)
		if got.Code != c.want {
			t.Errorf("from %s with %q: %d, want %d", c.from, c.value, got.Code, c.want)
		}
		if wait := got.Header().Get("Retry-After"); got.Code == 429 && (len(wait) != 1 || wait < "1" || wait > "6") {
			t.Errorf("wait %q seconds", wait)
		}
	}
}

// counted is a store that counts the lookups of tokens and sessions, and how many
// there are at once.
type counted struct {
	halves
	mu             sync.Mutex
	all, now, most int
}

func (c *counted) count() (done func()) {
	c.mu.Lock()
	c.all, c.now = c.all+1, c.now+1
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	time.Sleep(5 * time.Millisecond)
	return func() { c.mu.Lock(); c.now--; c.mu.Unlock() }
}

func (c *counted) Token(ctx context.Context, id string) (*access.Token, error) {
	defer c.count()()
	return c.halves.Token(ctx, id)
}

func (c *counted) Session(ctx context.Context, hash access.Hash) (*access.Token, error) {
	defer c.count()()
	return c.halves.Session(ctx, hash)
}

// Those who try many tokens take the store's time one after the other, and none
// of it for what does not look like a token.
func TestAttemptsTakeLittleOfTheStore(t *testing.T) {
	c := &counted{}
	s := newServiceWith(t, serviceOptions{wrap: func(h halves) server.Store { c.halves = h; return c }})
	h := s.handler.HandlerWith(testRoutes...)
	_, valid := s.token(t)
	const from = "192.0.2.1:1"
	for range 20 {
		ask(h, from, "GET", "/test/readers", bearer("rcr_nonsense"))
	}
	if c.all != 0 {
		t.Errorf("the store was asked %d times for what is no token", c.all)
	}
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			_, wrong := access.NewToken("wrong", access.Read, time.Now())
			if got := ask(h, from, "GET", "/test/readers", bearer(wrong)); got.Code != 429 {
				t.Errorf("one who tries many got %d", got.Code)
			}
		})
	}
	if got := ask(h, from, "GET", "/test/readers", bearer(valid)); got.Code != 200 {
		t.Errorf("who has a valid token got %d", got.Code)
	}
	all.Wait()
	if c.most != 1 || c.all != 31 {
		t.Errorf("the store was asked %d times, and %d times at once", c.all, c.most)
	}
}

// forgetful is a store that does not answer about tokens.
type forgetful struct{ halves }

func (forgetful) Token(context.Context, string) (*access.Token, error) {
	return nil, errors.New("secret detail")
}

func (forgetful) Session(context.Context, access.Hash) (*access.Token, error) {
	return nil, errors.New("secret detail")
}

// While the store cannot tell, nobody is let in, and nobody is told that the
// token is wrong.
func TestTokensCannotBeLookedUp(t *testing.T) {
	s := newServiceWith(t, serviceOptions{wrap: func(h halves) server.Store { return forgetful{h} }, routes: testRoutes})
	id, text := s.token(t)
	for _, c := range []credential{bearer(text), withCookie(s.session(t, id))} {
		r := httptest.NewRequest("GET", "/test/readers", nil)
		r.Header.Set(c.header, c.value)
		got := s.send(t, r)
		if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || strings.Contains(got.body, "secret") {
			t.Errorf("%s: %d %v %s", c.header, got.StatusCode, got.Header, got.body)
		}
	}
}

// stuckUsage is a store that never stores the use of a token.
type stuckUsage struct {
	halves
	waiting chan struct{} // receives an element when the store is asked to
}

func (u stuckUsage) UseToken(ctx context.Context, _ string, _ time.Time) error {
	select {
	case u.waiting <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestTokenUsageIsStored(t *testing.T) {
	s := newServiceWith(t, serviceOptions{routes: testRoutes})
	id, text := s.token(t)
	r := httptest.NewRequest("GET", "/test/readers", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	before := time.Now().UTC().Truncate(time.Hour)
	if got := s.send(t, r); got.StatusCode != 200 {
		t.Fatalf("got status %d, want 200: %s", got.StatusCode, got.body)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		k, err := s.store.Token(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !k.LastUsed.IsZero() {
			if k.LastUsed.Before(before) || k.LastUsed.After(time.Now()) || k.LastUsed.Minute() != 0 {
				t.Errorf("got last use %v, want a full hour since %v", k.LastUsed, before)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the use of the token is not stored")
		}
	}
}

// TestTokenUsageDoesNotBlock checks that requests are answered while the store is busy
// storing the use of a token.
func TestTokenUsageDoesNotBlock(t *testing.T) {
	u := stuckUsage{waiting: make(chan struct{}, 1)}
	s := newServiceWith(t, serviceOptions{wrap: func(h halves) server.Store { u.halves = h; return u }, routes: testRoutes})
	_, text := s.token(t)
	r := httptest.NewRequest("GET", "/test/readers", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	for range 2 {
		if got := s.send(t, r); got.StatusCode != 200 {
			t.Errorf("got status %d, want 200: %s", got.StatusCode, got.body)
		}
		<-u.waiting // the store is called after the request, and again for the next attempt
	}
}
