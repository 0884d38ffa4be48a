package server

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"relcheck/checker/access"
)

// permission is what a route requires of a request.
type permission int

const (
	adminToken   permission = iota // an admin token; also what a route requires that states nothing
	releaseToken                   // a token that may change releases
	adminPage                      // an admin token or its session
	releasePage                    // a token that may change releases, or its session
	anyToken                       // a release or read token, or a session
	readStats                      // a read token or a session
	viewPublic                     // the same, or nothing if the operator publishes figures
	optional                       // nothing, but the answer depends on the identity
	open                           // nothing; the credentials are not read
)

// role decides how much of the statistics a request may see. A higher role sees more.
type role int

const (
	anonymous role = iota // nothing
	visitor               // the public figures, see [Options.PublicStats]
	reader                // everything
)

// identity is what the credentials of a request prove.
type identity struct {
	role     role
	token    *access.Token // a valid token, of the request or of its session; nil if there is none
	session  string        // the secret in the session cookie, valid or not
	signedIn bool          // the token is that of the session
	err      error         // why the credentials were refused, or could not be verified
}

// identify resolves the identity of a request. A token that the request sends takes
// precedence over its session, even if the token is invalid.
func (s *Server) identify(r *http.Request) identity {
	id := identity{session: s.session(r)}
	id.token, id.err = s.bearer(r)
	if id.token == nil && id.err == nil && id.session != "" {
		id.token, id.err = s.sessionToken(r, id.session)
		id.signedIn = id.token != nil
	}
	switch {
	case id.err != nil:
	case id.token != nil && id.token.Allows(access.Read):
		id.role = reader
	case s.options.PublicStats && (id.token == nil || id.signedIn):
		id.role = visitor
	}
	return id
}

// authorize calls the handler of a route if the request has the permission that the
// route requires. It also returns the identity of the request.
func (s *Server) authorize(rt route, w http.ResponseWriter, r *http.Request) (id identity, err error) {
	if rt.requires == open {
		return id, rt.handler(w, r, id)
	}
	if rt.requires < anyToken && s.auth.crossOrigin.Check(r) != nil {
		return id, crossOrigin()
	}
	id = s.identify(r)
	if rt.requires != optional {
		private(w.Header())
		if err := id.check(rt.requires); err != nil {
			return id, s.refuse(w, r, id, err)
		}
	}
	return id, rt.handler(w, r, id)
}

func (id identity) check(p permission) error {
	scope := [...]access.Scope{adminToken: access.Admin, releaseToken: access.Release, adminPage: access.Admin, releasePage: access.Release, anyToken: access.Release, readStats: access.Read, viewPublic: access.Read}[p]
	switch {
	case id.role == reader && p >= anyToken, id.role == visitor && p == viewPublic:
		return nil
	case id.signedIn && p <= releaseToken: // any page can make a browser send the cookie of its session
		return noToken()
	case id.err != nil:
		return id.err
	case id.token == nil:
		return noToken()
	case !id.token.Allows(scope):
		return insufficientScope(id.token, scope)
	}
	return nil
}

func noToken() *failure {
	return fail(http.StatusUnauthorized, "sign_in", "", "this requires a token: send it as Authorization: Bearer TOKEN; create one with relcheck token add")
}

func insufficientScope(t *access.Token, scope access.Scope) *failure {
	f := fail(http.StatusForbidden, "insufficient_scope", "",
		fmt.Sprintf("the token has scope %s, and this requires %s; create one with relcheck token add NAME --scope %[2]s", t.Scope, scope))
	f.scope = scope
	return f
}

// private keeps an answer that depends on credentials out of caches, and its URL, which
// may contain a secret, out of requests to other servers.
func private(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
}

// refuse answers with an error, or browsers with the page for signing in.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, id identity, err error) error {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return err
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if !wantsPage(r) {
		return f
	}
	f.setRetryAfter(w.Header())
	return s.signInPage(w, r, id, f)
}

// wantsPage reports whether a request prefers HTML to JSON, as those of browsers do, and is not
// for programs only.
func wantsPage(r *http.Request) bool {
	accepted := r.Header["Accept"]
	html := weight(accepted, "text/html")
	return html > 0 && html >= weight(accepted, "application/json") && !strings.HasPrefix(r.URL.Path, "/api/") && r.URL.Path != "/metrics"
}

func crossOrigin() *failure {
	return fail(http.StatusForbidden, "cross_origin", "", "a page of another site sent this; open the page of relcheck itself")
}
