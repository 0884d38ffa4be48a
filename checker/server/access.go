package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"relcheck/checker/access"
)

// who a route is for.
type who int

const (
	adminsOnly     who = iota // also what a route is that does not say
	publishersOnly            // who may change releases
	holdersOnly               // whoever may change releases, or see all figures
	readersOnly               // who may see all figures
	viewersToo
	anyone
)

// audience is who asks. Of two, the higher one may see more.
type audience int

const (
	nobody   audience = iota
	everyone          // only with Options.PublicStats: may see the public view
	reader            // may see all figures
)

// lookAgain is how long a token is known without asking the store, and so how
// long one that was revoked may go on to let in.
const lookAgain = time.Second

// gate is what it takes to tell who asks.
type gate struct {
	tokens      *tokens
	sessions    sessions
	attempts    *attempts
	uses        *uses
	crossOrigin *http.CrossOriginProtection
}

func newGate(ctx context.Context, store Store, base string) (*gate, error) {
	key, err := store.SessionKey(ctx)
	if err != nil {
		return nil, err
	}
	g := &gate{&tokens{store: store, seen: map[string]seen{}}, sessions{key}, newAttempts(), newUses(), http.NewCrossOriginProtection()}
	if u, err := url.Parse(base); err == nil && u.Host != "" {
		// The Host that a proxy passes on may be another one than browsers see.
		err = g.crossOrigin.AddTrustedOrigin(u.Scheme + "://" + strings.ToLower(u.Host))
		return g, err
	}
	return g, nil
}

func (s *Server) guard(r route) handler {
	switch r.who {
	case anyone:
		return r.handler
	case viewersToo: // what the handler may show depends on the audience
		return s.admit(r.handler, s.seesFigures(everyone))
	case readersOnly:
		return s.admit(r.handler, s.seesFigures(reader))
	case holdersOnly:
		return s.admit(r.handler, s.hasToken)
	case publishersOnly:
		return s.sameOrigin(s.admit(r.handler, s.sends(access.Release)))
	}
	return s.sameOrigin(s.admit(r.handler, s.sends(access.Admin)))
}

// admit lets those pass whom check finds nothing wrong with.
func (s *Server) admit(h handler, check func(*http.Request) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		private(w.Header())
		if err := check(r); err != nil {
			return s.refuse(w, r, err)
		}
		return h(w, r)
	}
}

// seesFigures checks that the audience is one that may see them.
func (s *Server) seesFigures(least audience) func(*http.Request) error {
	return func(r *http.Request) error {
		who, err := s.identify(r)
		if err == nil && who < least {
			err = noToken()
		}
		return err
	}
}

// hasToken checks that it is somebody with a token for either, or who has signed in.
func (s *Server) hasToken(r *http.Request) error {
	t, err := s.holder(r)
	switch {
	case err == nil && t == nil:
		err = noToken()
	case err == nil && !t.Allows(access.Release) && !t.Allows(access.Read):
		err = tooSmall(t, access.Release)
	}
	return err
}

// sends checks that a token of the scope comes with the request. That somebody
// has signed in does not count: a page can make a browser send a cookie.
func (s *Server) sends(scope access.Scope) func(*http.Request) error {
	return func(r *http.Request) error {
		_, err := s.sender(r, scope)
		return err
	}
}

func (s *Server) sender(r *http.Request, scope access.Scope) (*access.Token, error) {
	t, err := s.bearer(r)
	switch {
	case err != nil:
		return nil, err
	case t == nil:
		return nil, noToken()
	case !t.Allows(scope):
		return nil, tooSmall(t, scope)
	}
	return t, nil
}

func noToken() *failure {
	return fail(http.StatusUnauthorized, "sign_in", "", "this needs a token: send it as Authorization: Bearer TOKEN; relcheck token add makes one")
}

// tooSmall is the answer to those whose token is valid and for something else.
func tooSmall(t *access.Token, scope access.Scope) *failure {
	return fail(http.StatusForbidden, "insufficient_scope", "",
		fmt.Sprintf("the token has scope %s, and this needs %s; relcheck token add NAME --scope %[2]s makes one", t.Scope, scope))
}

// private keeps an answer that depends on who asks out of caches, and the
// address it was found at, which may have a token in it, from other servers.
func private(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
}

// refuse answers with err: people get the page on which they can sign in.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	f := (*failure)(nil)
	if !errors.As(err, &f) {
		return err
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if !wantsPage(r) {
		return f
	}
	f.setRetryAfter(w.Header())
	return s.signInPage(w, r, f.status)
}

// wantsPage tells whether it is a browser that asks for something to look at.
func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, "/api/") && r.URL.Path != "/metrics"
}

// audience tells who asks.
func (s *Server) audience(r *http.Request) audience {
	who, err := s.identify(r)
	if err != nil {
		return nobody
	}
	return who
}

// identify tells who asks. A token that is not valid, or not for figures, is an
// error, for whoever sends one means to be let in.
func (s *Server) identify(r *http.Request) (audience, error) {
	t, err := s.holder(r)
	switch {
	case err != nil:
		return nobody, err
	case t != nil && t.Allows(access.Read):
		return reader, nil
	case t != nil:
		return nobody, tooSmall(t, access.Read)
	case s.options.PublicStats:
		return everyone, nil
	}
	return nobody, nil
}

// holder returns the valid token of who asks, by which the browser may have
// signed in, or nil if there is none.
func (s *Server) holder(r *http.Request) (*access.Token, error) {
	t, err := s.bearer(r)
	if t != nil || err != nil {
		return t, err
	}
	return s.signedInBy(r)
}

// bearer returns the token that a request brings, or nil if it brings none.
func (s *Server) bearer(r *http.Request) (*access.Token, error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, nil
	}
	return s.verify(r, text)
}

// signedInBy returns the token by which a browser has signed in. A cookie that is
// not valid, or was not given to read by, is no more than none.
func (s *Server) signedInBy(r *http.Request) (*access.Token, error) {
	id := s.session(r)
	if id == "" {
		return nil, nil
	}
	t, err := s.gate.tokens.get(r.Context(), id)
	switch {
	case err != nil:
		return nil, s.unchecked(err)
	case t == nil || !t.Allows(access.Read):
		return nil, nil
	}
	s.gate.uses.note(t, time.Now())
	return t, nil
}

// verify returns the valid token that text is. Who sends one is let in even if
// somebody else at the address, which may be a proxy's, tries many: nobody guesses
// 256 bits, and so it is the store's time that the limit is for.
func (s *Server) verify(r *http.Request, text string) (*access.Token, error) {
	text = access.Clean(text)
	id, from := access.ID(text), s.source(r)
	wait := s.gate.attempts.wait(from)
	t, err := s.find(r.Context(), id, wait > 0 && !s.gate.tokens.known(id, text))
	switch {
	case err != nil:
		return nil, s.unchecked(err)
	case t != nil && t.Is(text) && t.Valid():
		s.gate.uses.note(t, time.Now())
		return t, nil
	case wait > 0:
		s.limits.slowed.Inc()
		f := fail(http.StatusTooManyRequests, "too_many_attempts", "", "too many tokens from this address were not valid; try again later")
		f.retryAfter = wait
		return nil, f
	}
	s.gate.attempts.failed(from)
	return nil, fail(http.StatusUnauthorized, "invalid_token", "", "the token is not valid, or was revoked; relcheck token add makes a new one")
}

// find returns the token with an id, or nil if there is none. Those that are
// suspected have the store to themselves one after the other.
func (s *Server) find(ctx context.Context, id string, suspected bool) (*access.Token, error) {
	if id == "" {
		return nil, nil
	}
	if suspected {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		leave, err := s.gate.attempts.enter(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	return s.gate.tokens.get(ctx, id)
}

// unchecked is the answer while the store cannot tell about tokens.
func (s *Server) unchecked(err error) *failure {
	if errors.Is(err, context.DeadlineExceeded) {
		s.limits.cutOff.Inc()
	}
	f := fail(http.StatusServiceUnavailable, "unavailable", "", "who asks cannot be found out just now; try again later")
	f.retryAfter = 5
	return f
}

// sameOrigin refuses what a page of another site makes a browser send.
func (s *Server) sameOrigin(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if s.gate.crossOrigin.Check(r) != nil {
			return fail(http.StatusForbidden, "cross_origin", "", "this was sent by a page of another site; open relcheck's own page")
		}
		return h(w, r)
	}
}

// tokens remembers tokens of the store for a moment. It holds no more than
// there are: ids that are none are not remembered.
type tokens struct {
	store Store
	mu    sync.Mutex
	seen  map[string]seen // by id
}

type seen struct {
	*access.Token
	at time.Time
}

// get returns the token with an id, or nil if there is none.
func (c *tokens) get(ctx context.Context, id string) (*access.Token, error) {
	now := time.Now()
	c.mu.Lock()
	s, ok := c.seen[id]
	c.mu.Unlock()
	if ok && now.Sub(s.at) < lookAgain {
		return s.Token, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t, err := c.store.Token(ctx, id)
	if err != nil {
		return nil, cmp.Or(ctx.Err(), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t == nil {
		delete(c.seen, id)
		return nil, nil
	}
	if s := c.seen[id]; s.at.Before(now) { // else another request has looked later
		c.seen[id] = seen{t, now}
	}
	return t, nil
}

// known tells whether text is a token that was seen before.
func (c *tokens) known(id, text string) bool {
	c.mu.Lock()
	s, ok := c.seen[id]
	c.mu.Unlock()
	return ok && s.Is(text)
}
