package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/server"
)

// TestRevokedTokenIsRefused checks that a token that another process revokes, and its
// sessions, are rejected once the cached result of its verification expires.
func TestRevokedTokenIsRefused(t *testing.T) {
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
			t.Errorf("before the token is revoked: %s: got status %d, want 200", c.header, got)
		}
	}
	s.revoke(t, id)
	for _, c := range credentials {
		for deadline := time.Now().Add(20 * time.Second); status(c) != 401; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("20 s after the token was revoked: %s: got status %d, want 401", c.header, status(c))
			}
		}
	}
}

// TestFailedLoginsAreThrottled checks that a client IP that tries many tokens gets status
// 429, and that clients with a valid token are not delayed.
func TestFailedLoginsAreThrottled(t *testing.T) {
	s := newServiceWith(t, serviceOptions{})
	h := s.handler.HandlerWith(testRoutes...)
	id, old := s.token(t)
	_, fresh := s.token(t)
	revokedID, revoked := s.token(t)
	s.revoke(t, revokedID)
	_, wrong := access.NewToken("wrong", access.Read, time.Now())
	cookie := s.session(t, id)
	ask(h, "[2001:db8::5]:1", "GET", "/test/readers", bearer(old)) // caches the token
	attempts := 0
	for ; attempts < 100; attempts++ {
		from := fmt.Sprintf("[2001:db8::%x]:1", attempts) // all in one network
		c, path := credential{}, "/sign-in"
		switch {
		case attempts == 1: // an unknown session counts, but never gets status 429
			_, wrong := access.NewSession("aaaaaaaa", time.Now())
			c, path = withCookie(wrong), "/test/readers"
		case attempts%2 == 0:
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
	if attempts != 10 {
		t.Errorf("got status 429 after %d attempts, want 10", attempts)
	}
	for _, c := range []struct {
		from string
		credential
		want int
	}{
		{"[2001:db8::5]:1", bearer(fresh), 200}, // not cached
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
			t.Errorf("from %s with %q: got status %d, want %d", c.from, c.value, got.Code, c.want)
		}
		if wait := got.Header().Get("Retry-After"); got.Code == 429 && (len(wait) != 1 || wait < "1" || wait > "6") {
			t.Errorf("from %s with %q: got Retry-After %q, want 1 to 6", c.from, c.value, wait)
		}
	}
}

// countingStore is a store that counts look-ups of tokens and sessions.
type countingStore struct {
	testStore
	mu                              sync.Mutex
	lookups, running, maxConcurrent int
}

func (c *countingStore) count() (done func()) {
	c.mu.Lock()
	c.lookups, c.running = c.lookups+1, c.running+1
	c.maxConcurrent = max(c.maxConcurrent, c.running)
	c.mu.Unlock()
	time.Sleep(5 * time.Millisecond)
	return func() { c.mu.Lock(); c.running--; c.mu.Unlock() }
}

func (c *countingStore) Token(ctx context.Context, id string) (*access.Token, error) {
	defer c.count()()
	return c.testStore.Token(ctx, id)
}

func (c *countingStore) Session(ctx context.Context, hash access.Hash) (*access.Token, error) {
	defer c.count()()
	return c.testStore.Session(ctx, hash)
}

// TestFailedLoginsQueryStoreSequentially checks that the unknown tokens of a client IP
// are looked up one at a time, and malformed ones not at all.
func TestFailedLoginsQueryStoreSequentially(t *testing.T) {
	c := &countingStore{}
	s := newServiceWith(t, serviceOptions{wrap: func(h testStore) server.Store { c.testStore = h; return c }})
	h := s.handler.HandlerWith(testRoutes...)
	_, valid := s.token(t)
	const from = "192.0.2.1:1"
	for range 20 {
		ask(h, from, "GET", "/test/readers", bearer("rcr_nonsense"))
	}
	if c.lookups != 0 {
		t.Errorf("malformed tokens: got %d look-ups, want 0", c.lookups)
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			_, wrong := access.NewToken("wrong", access.Read, time.Now())
			if got := ask(h, from, "GET", "/test/readers", bearer(wrong)); got.Code != 429 {
				t.Errorf("unknown token after many: got status %d, want 429", got.Code)
			}
		})
	}
	if got := ask(h, from, "GET", "/test/readers", bearer(valid)); got.Code != 200 {
		t.Errorf("valid token: got status %d, want 200", got.Code)
	}
	wg.Wait()
	if c.maxConcurrent != 1 || c.lookups != 31 {
		t.Errorf("got %d look-ups, up to %d at a time, want 31, 1 at a time", c.lookups, c.maxConcurrent)
	}
}

// failingTokenStore is a store that cannot look up tokens.
type failingTokenStore struct{ testStore }

func (failingTokenStore) Token(context.Context, string) (*access.Token, error) {
	return nil, errors.New("secret detail")
}

func (failingTokenStore) Session(context.Context, access.Hash) (*access.Token, error) {
	return nil, errors.New("secret detail")
}

// TestTokenLookupFails checks that requests get status 503, not 200 or 401, while tokens
// cannot be looked up.
func TestTokenLookupFails(t *testing.T) {
	s := newServiceWith(t, serviceOptions{wrap: func(h testStore) server.Store { return failingTokenStore{h} }, routes: testRoutes})
	id, text := s.token(t)
	for _, c := range []credential{bearer(text), withCookie(s.session(t, id))} {
		r := httptest.NewRequest("GET", "/test/readers", nil)
		r.Header.Set(c.header, c.value)
		got := s.send(t, r)
		if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || strings.Contains(got.body, "secret") {
			t.Errorf("%s: got status %d, headers %v and body %s; want 503 with Retry-After and without the error", c.header, got.StatusCode, got.Header, got.body)
		}
	}
}
