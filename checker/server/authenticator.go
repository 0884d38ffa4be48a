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

	"golang.org/x/sync/semaphore"

	"relcheck/checker/access"
	"relcheck/checker/server/ratelimit"
)

const (
	// tokenTTL is how long a token or session is cached, and so how long one that another
	// process has revoked or ended is still accepted.
	tokenTTL = time.Second
	// maxCachedTokens is the maximum number of cached tokens, and of cached sessions.
	maxCachedTokens = 10_000
	// failedLoginsPerMinute is how many invalid tokens a client IP may send.
	failedLoginsPerMinute = 10
	// maxFailedClients is how many client IPs with invalid tokens are remembered.
	maxFailedClients = 10_000
)

type authenticator struct {
	tokens      *tokenCache[string]      // by ID
	sessions    *tokenCache[access.Hash] // by the hash of the cookie
	failed      *ratelimit.Limiter       // of invalid tokens by client IP
	lookups     *semaphore.Weighted      // of client IPs over that limit, one at a time
	usage       *tokenUsage
	crossOrigin *http.CrossOriginProtection
}

func newAuthenticator(store Store, base string) (*authenticator, error) {
	a := &authenticator{newTokenCache(store.Token), newTokenCache(store.Session), ratelimit.NewLimiter(failedLoginsPerMinute, maxFailedClients),
		semaphore.NewWeighted(1), &tokenUsage{lastHour: map[string]time.Time{}, pending: map[string]time.Time{}}, http.NewCrossOriginProtection()}
	if u, err := url.Parse(base); err == nil && u.Host != "" {
		// The Host header that a proxy sends may differ from the one that browsers send.
		err = a.crossOrigin.AddTrustedOrigin(u.Scheme + "://" + strings.ToLower(u.Host))
		return a, err
	}
	return a, nil
}

// bearer returns the token in the Authorization header of a request, or nil if there is
// none.
func (s *Server) bearer(r *http.Request) (*access.Token, error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, nil
	}
	return s.verifyToken(r, text)
}

// verifyToken returns the token with a text if it is valid. A valid token is accepted even
// if its client IP, which may be a proxy, has sent too many invalid ones: 256 bits cannot
// be guessed, and the limit only saves the store work.
func (s *Server) verifyToken(r *http.Request, text string) (*access.Token, error) {
	text = access.Normalize(text)
	id := access.TokenID(text)
	last, _ := s.auth.tokens.last(id)
	t, err := s.lookUp(r, id == "" || last != nil && last.Matches(text), func(ctx context.Context) (*access.Token, error) {
		if id == "" {
			return nil, nil
		}
		t, err := s.auth.tokens.get(ctx, id)
		if t != nil && !t.Matches(text) {
			t = nil
		}
		return t, err
	})
	if err == nil && t == nil {
		err = fail(http.StatusUnauthorized, "invalid_token", "", "the token is invalid or was revoked; create one with relcheck token add")
	}
	if err == nil {
		s.auth.usage.record(t, time.Now())
	}
	return t, err
}

// lookUp returns the token that find returns, or nil if it is not valid. For a client IP
// that has sent too many invalid secrets it returns an error instead of nil, and looks up
// one secret at a time, unless the secret is known to be valid or malformed.
func (s *Server) lookUp(r *http.Request, known bool, find func(context.Context) (*access.Token, error)) (*access.Token, error) {
	client := s.clients.ClientIP(r)
	wait := int(math.Ceil(s.auth.failed.Wait(client).Seconds()))
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	if wait > 0 && !known {
		if err := s.auth.lookups.Acquire(ctx, 1); err != nil {
			return nil, s.cannotVerify(err)
		}
		defer s.auth.lookups.Release(1)
	}
	t, err := find(ctx)
	switch {
	case err != nil:
		return nil, s.cannotVerify(cmp.Or(ctx.Err(), err))
	case t != nil && t.Valid():
		return t, nil
	case wait > 0:
		s.metrics.loginsThrottled.Inc()
		f := fail(http.StatusTooManyRequests, "too_many_attempts", "", "too many invalid tokens from this client IP; try again later")
		f.retryAfter = wait
		return nil, f
	}
	s.auth.failed.Allow(client)
	return nil, nil
}

// cannotVerify returns the answer to a request whose credentials the store could not look
// up.
func (s *Server) cannotVerify(err error) *failure {
	if errors.Is(err, context.DeadlineExceeded) {
		s.metrics.queriesTimedOut.Inc()
	}
	return unavailable("unavailable", "cannot verify credentials right now; try again later")
}

// tokenCache caches the token that the store returns for a key, even if it is none.
type tokenCache[K comparable] struct {
	find func(context.Context, K) (*access.Token, error)
	ttl  time.Duration
	mu   sync.Mutex
	m    map[K]cachedToken
}

type cachedToken struct {
	*access.Token
	at time.Time
}

func newTokenCache[K comparable](find func(context.Context, K) (*access.Token, error)) *tokenCache[K] {
	return &tokenCache[K]{find: find, ttl: tokenTTL, m: map[K]cachedToken{}}
}

func (c *tokenCache[K]) get(ctx context.Context, key K) (*access.Token, error) {
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
	if len(c.m) >= maxCachedTokens {
		maps.DeleteFunc(c.m, func(_ K, s cachedToken) bool { return now.Sub(s.at) >= c.ttl })
	}
	if s := c.m[key]; s.at.Before(now) && len(c.m) < maxCachedTokens { // otherwise another request has stored a newer one
		c.m[key] = cachedToken{t, now}
	}
	return t, nil
}

// last returns the token that the store last returned for a key, or nil, and whether that
// is recent enough to be used.
func (c *tokenCache[K]) last(key K) (t *access.Token, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.m[key]
	return s.Token, time.Since(s.at) < c.ttl
}

func (c *tokenCache[K]) forget(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.m, key)
}

// storeUsageEvery is the time between two writes of token usage.
const storeUsageEvery = time.Second

// tokenUsage remembers the hour of each token's last use, and stores it in the
// background, so that no request waits for that.
type tokenUsage struct {
	mu       sync.Mutex
	lastHour map[string]time.Time // by token ID
	pending  map[string]time.Time // not stored yet
}

func (u *tokenUsage) record(t *access.Token, now time.Time) {
	hour := now.UTC().Truncate(time.Hour)
	u.mu.Lock()
	defer u.mu.Unlock()
	if !t.LastUsed.Before(hour) || !u.lastHour[t.ID].Before(hour) {
		return
	}
	u.lastHour[t.ID], u.pending[t.ID] = hour, hour
}

// run stores the usage until ctx ends, and then once more.
func (u *tokenUsage) run(ctx context.Context, store Store) {
	ticker := time.NewTicker(storeUsageEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
		u.flush(context.WithoutCancel(ctx), store)
	}
}

// flush stores what is pending. What fails stays pending.
func (u *tokenUsage) flush(ctx context.Context, store Store) {
	ctx, cancel := context.WithTimeout(ctx, storeUsageEvery)
	defer cancel()
	u.mu.Lock()
	pending := u.pending
	u.pending = map[string]time.Time{}
	u.mu.Unlock()
	for id, hour := range pending {
		if store.UseToken(ctx, id, hour) == nil {
			continue
		}
		u.mu.Lock()
		if u.pending[id].Before(hour) {
			u.pending[id] = hour
		}
		u.mu.Unlock()
	}
}
