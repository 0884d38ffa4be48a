package server_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"relcheck/checker/server"
)

// blockedTokenStore is a store that never stores the use of a token.
type blockedTokenStore struct {
	testStore
	waiting chan struct{} // receives an element when the store is asked to
}

func (u blockedTokenStore) UseToken(ctx context.Context, _ string, _ time.Time) error {
	select {
	case u.waiting <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

// TestTokenUsageIsStored checks that the hour of a token's last use is stored.
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
	u := blockedTokenStore{waiting: make(chan struct{}, 1)}
	s := newServiceWith(t, serviceOptions{wrap: func(h testStore) server.Store { u.testStore = h; return u }, routes: testRoutes})
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
