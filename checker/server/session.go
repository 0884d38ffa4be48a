package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"relcheck/checker/access"
)

// Names of cookies. Browsers accept those with a prefix only over TLS, and those with
// hostPrefix only from the host itself and for all paths.
const (
	sessionCookie = "relcheck"      // the secret of the session
	formCookie    = "relcheck-form" // shows that the browser has a sign-in form of this server
	hostPrefix    = "__Host-"
	securePrefix  = "__Secure-"
)

// secure reports whether browsers reach the server over TLS, directly or through a
// proxy.
func (s *Server) secure(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(s.options.Base, "https://")
}

// setCookie sets a cookie for maxAge seconds. If maxAge is 0, the cookie lasts until the
// browser closes; a negative value removes it. Browsers also send it when they follow a
// link on another site, but not with a form of another site.
func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(r, name), Value: value, Path: cmp.Or(s.root, "/"), MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.secure(r),
	})
}

func (s *Server) cookieName(r *http.Request, name string) string {
	switch {
	case !s.secure(r):
		return name
	case s.root != "":
		return securePrefix + name
	}
	return hostPrefix + name
}

// session returns the secret in the session cookie of a request, or "".
func (s *Server) session(r *http.Request) string {
	for _, c := range r.CookiesNamed(s.cookieName(r, sessionCookie)) {
		if access.IsSession(c.Value) {
			return c.Value
		}
	}
	return ""
}

// sessionToken returns the token of the session with a secret, or nil if the session is
// not valid.
func (s *Server) sessionToken(r *http.Request, secret string) (*access.Token, error) {
	hash := access.HashOf(secret)
	t, fresh := s.auth.sessions.last(hash)
	var err error
	if !fresh { // the requests of one page count as one attempt
		t, err = s.lookUp(r, t != nil, func(ctx context.Context) (*access.Token, error) {
			return s.auth.sessions.get(ctx, hash)
		})
	}
	switch f, ok := errors.AsType[*failure](err); {
	case ok && f.status == http.StatusTooManyRequests:
		return nil, nil
	case err != nil || t == nil || !canSignIn(t):
		return nil, err
	}
	s.auth.usage.record(t, time.Now())
	return t, nil
}

// canSignIn reports whether pages show a token's session anything.
func canSignIn(t *access.Token) bool { return t.Allows(access.Read) || t.Allows(access.Release) }

// startSession signs a browser in with a token, or uses the sign-in link if there is one.
// It ends the session that the browser had.
func (s *Server) startSession(w http.ResponseWriter, r *http.Request, id identity, t *access.Token, link string) error {
	// The session is stored even if the client closes the connection.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeTimeout)
	defer cancel()
	session, text := access.NewSession(t.ID, time.Now())
	var err error
	if link == "" {
		err = s.store.AddSession(ctx, session)
	} else if used, e := s.store.UseLink(ctx, access.HashOf(link), session); e == nil && !used {
		return invalidLink()
	} else {
		err = e
	}
	if err != nil {
		return s.cannotVerify(err)
	}
	s.auth.usage.record(t, time.Now())
	if id.session != "" {
		s.endSession(ctx, id.session) // if that fails, it expires later
	}
	s.setCookie(w, r, sessionCookie, text, int(access.SessionLifetime.Seconds()))
	return nil
}

// endSession ends a session: at once on this server, and on others after tokenTTL.
func (s *Server) endSession(ctx context.Context, text string) error {
	hash := access.HashOf(text)
	err := s.store.EndSession(ctx, hash)
	s.auth.sessions.forget(hash)
	return err
}
