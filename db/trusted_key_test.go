package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/db"
)

func testTrustedKeys(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	home, mirror := "home+01234567+AQID", "mirror+89abcdef+AQIE"
	at := time.Unix(1.8e9, 0).UTC()
	for _, err := range []error{
		s.TrustKey(ctx, mirror, nil, at), s.TrustKey(ctx, home, []string{"opa", "app", "opa"}, at), s.TrustKey(ctx, home, []string{"app", "opa"}, at.Add(time.Hour)),
		s.RevokeKey(ctx, mirror, at.Add(time.Hour)), s.RevokeKey(ctx, mirror, at.Add(2*time.Hour)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(want ...db.TrustedKey) {
		t.Helper()
		if got, err := s.TrustedKeys(ctx); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got keys %+v (error %v), want %+v", got, err, want)
		}
	}
	check(db.TrustedKey{Key: home, Products: []string{"app", "opa"}, Added: at}, db.TrustedKey{Key: mirror, Added: at, Revoked: at.Add(time.Hour)})
	if err := errors.Join(s.TrustKey(ctx, mirror, []string{"app"}, at.Add(3*time.Hour)), s.TrustKey(ctx, home, nil, at.Add(3*time.Hour))); err != nil {
		t.Fatal(err)
	}
	check(db.TrustedKey{Key: home, Added: at.Add(3 * time.Hour)}, db.TrustedKey{Key: mirror, Products: []string{"app"}, Added: at.Add(3 * time.Hour)})
	if err := s.RevokeKey(ctx, "other+01234567+AQID", at); !errors.Is(err, db.ErrNotFound) || strings.Contains(err.Error(), "AQID") {
		t.Errorf("unknown key: got error %v, want ErrNotFound with the name", err)
	}
	if err := s.TrustKey(ctx, home, []string{"a b"}, at); !errors.As(err, new(*catalog.FieldError)) {
		t.Errorf("invalid product: got error %v, want a FieldError", err)
	}
	log, err := s.Audit(ctx, "", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range log {
		got = append(got, e.Action+" "+e.Detail)
	}
	if want := []string{"key.trusted home+01234567", "key.trusted mirror+89abcdef for app", "key.revoked mirror+89abcdef", "key.trusted home+01234567 for app, opa", "key.trusted mirror+89abcdef"}; !slices.Equal(got, want) {
		t.Errorf("got audit log %q, want %q", got, want)
	}
}

// Sequence numbers never decrease or repeat, even if the clock is set back and several
// processes create bundles.
func testBundleSequences(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	next := func(at int64, want map[string]int64) {
		t.Helper()
		got, err := s.NextBundleSequences(ctx, []string{"opa", "relcheck"}[:len(want)], time.Unix(at, 0))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("at %d: got %v (error %v), want %v", at, got, err, want)
		}
	}
	next(1000, map[string]int64{"opa": 1000})
	next(1000, map[string]int64{"opa": 1001, "relcheck": 1000})
	next(500, map[string]int64{"opa": 1002, "relcheck": 1001})
	next(2000, map[string]int64{"opa": 2000, "relcheck": 2000})
	if _, err := s.NextBundleSequences(ctx, []string{"opa", "none"}, time.Unix(5000, 0)); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("unknown product: got error %v, want ErrNotFound", err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[int64]bool{}
	for range 4 {
		s := open(t, name)
		wg.Go(func() {
			for range 10 {
				got, err := s.NextBundleSequences(ctx, []string{"relcheck", "opa"}, time.Unix(2000, 0))
				mu.Lock()
				if err != nil || seen[got["opa"]] || got["opa"] <= 2000 {
					t.Errorf("got %v (error %v), want a new number above 2000", got, err)
				}
				seen[got["opa"]] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	next(0, map[string]int64{"opa": 2041})
}
