package server

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"relcheck/checker/access"
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
	failed      *failedLogins
	uses        *uses
	crossOrigin *http.CrossOriginProtection
}

func newGate(store Store, base string) (*gate, error) {
	g := &gate{newLookups(store.Token), newLookups(store.Session), newFailedLogins(), newUses(), http.NewCrossOriginProtection()}
	if u, err := url.Parse(base); err == nil && u.Host != "" {
		// The Host that a proxy passes on may be another one than browsers see.
		err = g.crossOrigin.AddTrustedOrigin(u.Scheme + "://" + strings.ToLower(u.Host))
		return g, err
	}
	return g, nil
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
	text = access.Normalize(text)
	id := access.TokenID(text)
	last, _ := s.gate.tokens.last(id)
	t, err := s.try(r, id == "" || last != nil && last.Matches(text), func(ctx context.Context) (*access.Token, error) {
		if id == "" {
			return nil, nil
		}
		t, err := s.gate.tokens.get(ctx, id)
		if t != nil && !t.Matches(text) {
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
	client := s.clients.ClientIP(r)
	wait := int(math.Ceil(s.gate.failed.Wait(client).Seconds()))
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	if wait > 0 && !known {
		leave, err := s.gate.failed.enter(ctx)
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
		s.metrics.loginsThrottled.Inc()
		f := fail(http.StatusTooManyRequests, "too_many_attempts", "", "too many tokens from this address were not valid; try again later")
		f.retryAfter = wait
		return nil, f
	}
	s.gate.failed.Allow(client)
	return nil, nil
}

// unchecked is the answer while the store cannot tell about tokens.
func (s *Server) unchecked(err error) *failure {
	if errors.Is(err, context.DeadlineExceeded) {
		s.metrics.queriesTimedOut.Inc()
	}
	f := fail(http.StatusServiceUnavailable, "unavailable", "", "who asks cannot be found out just now; try again later")
	f.retryAfter = 5
	return f
}

// lookups remembers for a moment which token the store has returned for a key, also
// that there is none.
type lookups[K comparable] struct {
	find func(context.Context, K) (*access.Token, error)
	ttl  time.Duration
	mu   sync.Mutex
	seen map[K]seen
}

type seen struct {
	*access.Token
	at time.Time
}

func newLookups[K comparable](find func(context.Context, K) (*access.Token, error)) *lookups[K] {
	return &lookups[K]{find: find, ttl: lookAgain, seen: map[K]seen{}}
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
		maps.DeleteFunc(c.seen, func(_ K, s seen) bool { return now.Sub(s.at) >= c.ttl })
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
	return s.Token, time.Since(s.at) < c.ttl
}

// forget makes the next get ask the store.
func (c *lookups[K]) forget(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, key)
}
