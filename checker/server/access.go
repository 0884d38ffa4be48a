package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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

const (
	// lookAgain is how long a token or session is known without asking the store, and
	// so how long one that was revoked or ended elsewhere still lets in.
	lookAgain = time.Second
	// maxLookups is the number of tokens, and of sessions, that are known at a time.
	maxLookups = 10_000
)

// gate is what it takes to tell who asks.
type gate struct {
	tokens      *lookups[string]      // by ID
	sessions    *lookups[access.Hash] // by the hash of the cookie
	attempts    *attempts
	uses        *uses
	crossOrigin *http.CrossOriginProtection
}

func newGate(store Store, base string) (*gate, error) {
	g := &gate{newLookups(store.Token), newLookups(store.Session), newAttempts(), newUses(), http.NewCrossOriginProtection()}
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
	return s.signInPage(w, r, f)
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

// verify returns the valid token that text is. Who sends one is let in even if
// somebody else at the address, which may be a proxy's, tries many: nobody guesses
// 256 bits, and so it is the store's time that the limit is for.
func (s *Server) verify(r *http.Request, text string) (*access.Token, error) {
	text = access.Clean(text)
	id := access.ID(text)
	last, _ := s.gate.tokens.last(id)
	t, err := s.try(r, id == "" || last != nil && last.Is(text), func(ctx context.Context) (*access.Token, error) {
		if id == "" {
			return nil, nil
		}
		t, err := s.gate.tokens.get(ctx, id)
		if t != nil && !t.Is(text) {
			t = nil
		}
		return t, err
	})
	if err == nil && t == nil {
		err = fail(http.StatusUnauthorized, "invalid_token", "", "the token is not valid, or was revoked; relcheck token add makes a new one")
	}
	if err == nil {
		s.gate.uses.note(t, time.Now())
	}
	return t, err
}

// try returns the token that find finds, or nil if that is not valid. A client IP
// that has tried too many invalid secrets gets an error in place of nil, and unless
// the secret was valid the last time, it has to wait for its turn to ask the store.
func (s *Server) try(r *http.Request, known bool, find func(context.Context) (*access.Token, error)) (*access.Token, error) {
	from := s.source(r)
	wait := s.gate.attempts.wait(from)
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	if wait > 0 && !known {
		leave, err := s.gate.attempts.enter(ctx)
		if err != nil {
			return nil, s.unchecked(err)
		}
		defer leave()
	}
	t, err := find(ctx)
	switch {
	case err != nil:
		return nil, s.unchecked(cmp.Or(ctx.Err(), err))
	case t != nil && t.Valid():
		return t, nil
	case wait > 0:
		s.limits.slowed.Inc()
		f := fail(http.StatusTooManyRequests, "too_many_attempts", "", "too many tokens from this address were not valid; try again later")
		f.retryAfter = wait
		return nil, f
	}
	s.gate.attempts.failed(from)
	return nil, nil
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
			return crossOrigin()
		}
		return h(w, r)
	}
}

func crossOrigin() *failure {
	return fail(http.StatusForbidden, "cross_origin", "", "this was sent by a page of another site; open relcheck's own page")
}

// lookups remembers for a moment which token the store has returned for a key, also
// that there is none.
type lookups[K comparable] struct {
	find func(context.Context, K) (*access.Token, error)
	mu   sync.Mutex
	seen map[K]seen
}

type seen struct {
	*access.Token
	at time.Time
}

func newLookups[K comparable](find func(context.Context, K) (*access.Token, error)) *lookups[K] {
	return &lookups[K]{find: find, seen: map[K]seen{}}
}

// get returns the token for a key, or nil if there is none.
func (c *lookups[K]) get(ctx context.Context, key K) (*access.Token, error) {
	now := time.Now()
	if t, fresh := c.last(key); fresh {
		return t, nil
	}
	t, err := c.find(ctx, key)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen) >= maxLookups {
		maps.DeleteFunc(c.seen, func(_ K, s seen) bool { return now.Sub(s.at) >= lookAgain })
	}
	if s := c.seen[key]; s.at.Before(now) && len(c.seen) < maxLookups { // else another request has looked later
		c.seen[key] = seen{t, now}
	}
	return t, nil
}

// last returns the token that the store returned for a key the last time, or nil, and
// whether that is so recent that the store need not be asked.
func (c *lookups[K]) last(key K) (t *access.Token, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.seen[key]
	return s.Token, time.Since(s.at) < lookAgain
}

// forget makes the next get ask the store.
func (c *lookups[K]) forget(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, key)
}
