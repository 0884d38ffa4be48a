package server

import (
	"cmp"
	"context"
	"errors"
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
	readersOnly who = iota // also what a route is that does not say
	viewersToo
	anyone
)

// audience is who asks. Of two, the higher one may see more.
type audience int

const (
	nobody   audience = iota
	everyone          // only with Options.PublicStats: may see the public view
	reader            // has a token: may see all figures
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
	case viewersToo:
		return s.viewers(r.handler)
	}
	return s.readers(r.handler)
}

// readers lets those with a token pass.
func (s *Server) readers(h handler) handler { return s.admit(h, reader) }

// viewers lets those with a token pass, and everyone if figures are public. What
// h may show depends on the audience.
func (s *Server) viewers(h handler) handler { return s.admit(h, everyone) }

func (s *Server) admit(h handler, least audience) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		private(w.Header())
		who, err := s.identify(r)
		if err == nil && who < least {
			err = fail(http.StatusUnauthorized, "sign_in", "", "this needs a token: send it as Authorization: Bearer TOKEN; relcheck token add makes one")
		}
		if err != nil {
			return s.refuse(w, r, err)
		}
		return h(w, r)
	}
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

// identify tells who asks. A token that is not valid is an error, for whoever
// sends one means to be let in; a cookie that is not is no more than none.
func (s *Server) identify(r *http.Request) (audience, error) {
	if scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		if _, err := s.verify(r, text); err != nil {
			return nobody, err
		}
		return reader, nil
	}
	if id := s.session(r); id != "" {
		t, err := s.gate.tokens.get(r.Context(), id)
		if err != nil {
			return nobody, s.unchecked(err)
		}
		if t != nil && t.Allows(access.Read) {
			s.gate.uses.note(t, time.Now())
			return reader, nil
		}
	}
	if s.options.PublicStats {
		return everyone, nil
	}
	return nobody, nil
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
	case t != nil && t.Is(text) && t.Allows(access.Read):
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
