package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/server"
)

// publicRoutes are the routes that need no token. All others must reject requests without
// one.
var publicRoutes = map[string]bool{
	"POST /v1/version":                                      true,
	"POST /p/{product}/v1/version":                          true,
	"GET /p/{product}/releases.atom":                        true,
	"GET /repos/{owner}/{repo}/releases/latest":             true,
	"GET /p/{product}/repos/{owner}/{repo}/releases/latest": true,
	"GET /healthz":                                          true,
	"GET /readyz":                                           true,
	"GET /{$}":                                              true,
	"GET /connect":                                          true,
	"GET /products/{product}/connect":                       true,
	"GET /privacy":                                          true,
	"GET /docs":                                             true,
	"GET /docs/{topic}":                                     true,
	"GET /api/openapi.yaml":                                 true,
	"GET /assets/{name}":                                    true,
	"GET /files/{product}":                                  true,
	"GET /files/{product}/{path...}":                        true,
	"GET /sign-in":                                          true,
	"POST /sign-in":                                         true,
	"POST /sign-out":                                        true,
}

// publicStatsRoutes are the routes that need no token if statistics are public.
var publicStatsRoutes = map[string]bool{
	"GET /test/viewers":                            true,
	"GET /products/{product}":                      true,
	"GET /products/{product}/public":               true,
	"GET /products/{product}/releases":             true,
	"GET /products/{product}/releases/{tag...}":    true,
	"GET /api/v1/products":                         true,
	"GET /api/v1/products/{product}/public":        true,
	"GET /api/v1/products/{product}/public/{week}": true,
}

var testRoutes = []server.Route{
	{Pattern: "GET /test/readers", Requires: server.ReadStats},
	{Pattern: "GET /test/viewers", Requires: server.ViewPublic},
	{Pattern: "GET /api/test/{name}", Requires: server.ReadStats},
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// sample returns a request that a pattern matches.
func sample(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, wildcard.ReplaceAllString(strings.ReplaceAll(path, "{$}", ""), "opa")
}

// allowedScopes returns the scopes of tokens that may use a route that is not public. A
// new route that changes something needs an admin token unless it is listed here. The pages
// below /manage also accept sessions.
func allowedScopes(pattern string) []access.Scope {
	method, path, _ := strings.Cut(pattern, " ")
	switch isRelease := strings.HasPrefix(path, "/api/v1/products/{product}/releases"); {
	case path == "/manage", strings.HasPrefix(path, "/manage/products/{product}/release"):
		return []access.Scope{access.Release, access.Admin}
	case strings.HasPrefix(path, "/manage/"):
		return []access.Scope{access.Admin}
	case isRelease && method == "GET":
		return []access.Scope{access.Read, access.Release, access.Admin}
	case isRelease:
		return []access.Scope{access.Release, access.Admin}
	case method == "GET":
		return []access.Scope{access.Read, access.Admin}
	}
	return []access.Scope{access.Admin}
}

// routeChecker sends requests without sufficient permission to routes.
type routeChecker struct {
	*service
	h        http.Handler
	requests int
	tokens   map[access.Scope][2]string // ID and text by scope
	problems []string                   // requests that were accepted, or rejected with an unexpected response
}

// nextIP returns a new client IP, because a client IP with too many failed logins is
// throttled.
func (w *routeChecker) nextIP() string {
	w.requests++
	return fmt.Sprintf("10.%d.%d.%d:1", w.requests>>16, w.requests>>8&255, w.requests&255)
}

// checkRefused sends a request with a credential, and wants a response with the status
// and one of the codes.
func (w *routeChecker) checkRefused(pattern, name string, c credential, status int, codes string, headers ...string) {
	method, path := sample(pattern)
	got := ask(w.h, w.nextIP(), method, path, c, headers...)
	var body struct {
		Error struct{ Code, Message string }
	}
	json.Unmarshal(got.Body.Bytes(), &body)
	challenged := status != 401 || got.Header().Get("WWW-Authenticate") == "Bearer"
	uncached := got.Header().Get("Cache-Control") == "no-store" || strings.Contains(codes, "cross_origin")
	if got.Code != status || !slices.Contains(strings.Fields(codes), body.Error.Code) || body.Error.Message == "" || !challenged || !uncached {
		w.problems = append(w.problems, fmt.Sprintf("%s with %s: got status %d, headers %v, body %s; want status %d and code %s", pattern, name, got.Code, got.Header(), got.Body, status, codes))
	}
}

// checkRefusals sends requests without sufficient permission to each pattern, and describes
// the unexpected responses.
func (s *service) checkRefusals(t *testing.T, patterns []string, more ...server.Route) []string {
	w := &routeChecker{service: s, h: s.handler.HandlerWith(more...), tokens: map[access.Scope][2]string{}}
	for _, scope := range access.Scopes {
		id, text := s.tokenOf(t, scope)
		w.tokens[scope] = [2]string{id, text}
	}
	id, revoked := s.tokenOf(t, access.Admin)
	s.revoke(t, id)
	_, unknown := access.NewToken("unknown", access.Admin, time.Now())
	_, unknownScope := s.tokenOf(t, "odd")
	valid := w.tokens[access.Admin]
	_, unknownSession := access.NewSession(valid[0], time.Now())
	revokedSession, orphanSession, releaseSession := s.session(t, id), s.session(t, "aaaaaaaa"), s.session(t, w.tokens[access.Release][0])
	adminSession := s.session(t, valid[0])
	for _, pattern := range patterns {
		for name, c := range map[string]credential{
			"no credential":                 {},
			"an unknown token":              bearer(unknown),
			"a revoked token":               bearer(revoked),
			"a malformed token":             bearer("x"),
			"an empty token":                bearer(""),
			"a valid token's ID":            bearer(valid[1][:13] + unknown[13:]),
			"another scheme":                {"Authorization", "Basic eDp5"},
			"a session of a revoked token":  withCookie(revokedSession),
			"a session of an unknown token": withCookie(orphanSession),
			"an unknown session":            withCookie(unknownSession),
			"a malformed session":           withCookie("aaaaaaaa.4000000000.AAAA"),
		} {
			w.checkRefused(pattern, name, c, 401, "sign_in invalid_token")
		}
		allowed := allowedScopes(pattern)
		isPage := strings.Contains(pattern, " /manage")
		switch {
		case !strings.HasPrefix(pattern, "GET ") && !isPage:
			w.checkRefused(pattern, "a session of a release token", withCookie(releaseSession), 401, "sign_in")
		case !slices.Contains(allowed, access.Release):
			w.checkRefused(pattern, "a session of a release token", withCookie(releaseSession), 403, "insufficient_scope")
		}
		for scope, k := range w.tokens {
			if !slices.Contains(allowed, scope) {
				w.checkRefused(pattern, "a token of scope "+string(scope), bearer(k[1]), 403, "insufficient_scope")
			}
		}
		w.checkRefused(pattern, "a token of an unknown scope", bearer(unknownScope), 403, "insufficient_scope")
		if strings.HasPrefix(pattern, "GET ") {
			continue
		}
		if !isPage {
			w.checkRefused(pattern, "a session of an admin token", withCookie(adminSession), 401, "sign_in")
		}
		w.checkRefused(pattern, "a valid token from another site", bearer(valid[1]), 403, "cross_origin", "Sec-Fetch-Site", "cross-site")
		w.checkRefused(pattern, "a valid token from another origin", bearer(valid[1]), 403, "cross_origin", "Origin", "https://evil.example")
	}
	return w.problems
}

// TestRoutesRequireToken checks that every route, except those listed above, rejects
// requests without sufficient permission and accepts tokens with it. It fails for a new
// route that is neither listed nor protected.
func TestRoutesRequireToken(t *testing.T) {
	for _, publicStats := range []bool{false, true} {
		s := newServiceWith(t, serviceOptions{Options: server.Options{PublicStats: publicStats, PublicThreshold: 10}})
		patterns := s.handler.Patterns()
		for _, r := range testRoutes {
			patterns = append(patterns, r.Pattern)
		}
		patterns = slices.DeleteFunc(patterns, func(p string) bool { return publicRoutes[p] || publicStats && publicStatsRoutes[p] })
		for _, problem := range s.checkRefusals(t, patterns, testRoutes...) {
			t.Errorf("public statistics %t: %s", publicStats, problem)
		}
		h, clients := s.handler.HandlerWith(testRoutes...), 0
		for _, pattern := range patterns {
			for _, scope := range allowedScopes(pattern) {
				_, text := s.tokenOf(t, scope)
				method, path := sample(pattern)
				clients++
				got := ask(h, fmt.Sprintf("10.1.1.%d:1", clients), method, path, bearer(text))
				if got.Code == 401 || got.Code == 403 {
					t.Errorf("%s with a token of scope %s: got status %d, want neither 401 nor 403: %s", pattern, scope, got.Code, got.Body)
				}
			}
		}
	}
}

// TestRoutesRequireTokenControl checks that checkRefusals finds routes that accept too
// much.
func TestRoutesRequireTokenControl(t *testing.T) {
	s := newService(t)
	for _, r := range []server.Route{
		{Pattern: "GET /test/open", Requires: server.Open},
		{Pattern: "PUT /test/open", Requires: server.Open},
		{Pattern: "POST /test/changed-by-readers", Requires: server.ReadStats},
		{Pattern: "DELETE /test/any-token", Requires: server.AnyToken},
		{Pattern: "PUT /test/release-token", Requires: server.ReleaseToken},
		{Pattern: "GET /test/any-token", Requires: server.AnyToken},
	} {
		if problems := s.checkRefusals(t, []string{r.Pattern}, r); len(problems) == 0 {
			t.Errorf("%+v: got no problems, want some", r)
		}
	}
	unspecified := server.Route{Pattern: "POST /test/unspecified"} // without a permission
	if problems := s.checkRefusals(t, []string{unspecified.Pattern}, unspecified); len(problems) > 0 {
		t.Errorf("route without a permission: got problems %v, want none, because it needs an admin token", problems)
	}
}

func TestRoles(t *testing.T) {
	for _, publicStats := range []bool{false, true} {
		s := newServiceWith(t, serviceOptions{Options: server.Options{PublicStats: publicStats}, routes: testRoutes})
		id, text := s.token(t)
		cookie := s.session(t, id)
		viewers := "401 "
		if publicStats {
			viewers = "200 visitor"
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
			{bearer("x"), "/test/viewers", "401 "}, // an invalid token is an error even where none is needed
			{bearer(text[:len(text)-1]), "/test/readers", "401 "},
			{bearer(id), "/test/readers", "401 "},
		} {
			r := httptest.NewRequest("GET", c.path, nil)
			if c.header != "" {
				r.Header.Set(c.header, c.value)
			}
			got := s.send(t, r)
			response := fmt.Sprint(got.StatusCode, " ")
			if got.StatusCode == 200 {
				response += got.body
			}
			if response != c.want || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("public statistics %t, GET %s with %q: got %s, want %s, not cached and without referrer; headers %v", publicStats, c.path, c.value, response, c.want, got.Header)
			}
		}
	}
}

// TestUnauthorizedResponse checks that browsers get the sign-in page, and other clients
// JSON.
func TestUnauthorizedResponse(t *testing.T) {
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
			t.Errorf("%+v: got status %d and headers %v, want 401 with a challenge and nosniff", c, got.StatusCode, got.Header)
		}
		contentType, text := "application/json", `{"error":{"code":"sign_in","message":"`
		if c.page {
			contentType, text = "text/html; charset=utf-8", `value="/test/readers?days=7"`
		}
		if got.Header.Get("Content-Type") != contentType || !strings.Contains(got.body, text) {
			t.Errorf("%+v: got headers %v and body %s, want type %s and text %s", c, got.Header, got.body, contentType, text)
		}
		if policy := got.Header.Get("Content-Security-Policy"); c.page && !strings.HasPrefix(policy, "default-src 'none';") {
			t.Errorf("%+v: got content security policy %q, want default-src 'none'", c, policy)
		}
	}
}
