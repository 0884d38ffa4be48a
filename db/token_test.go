package db_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker/access"
	"relcheck/db"
)

func testTokens(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	made := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	a, text := access.NewToken("first", access.Read, made)
	b, _ := access.NewToken("Zoë's \"laptop\"", access.Read, made.Add(time.Hour))
	for _, k := range []access.Token{b, a} {
		if err := s.AddToken(ctx, k); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddToken(ctx, a); err == nil {
		t.Error("add a token twice: got no error")
	}
	list := func(want ...access.Token) {
		t.Helper()
		got, err := s.Tokens(ctx)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Tokens: error %v (-want +got):\n%s", err, diff)
		}
	}
	list(a, b)

	use := func(at, want time.Time) {
		t.Helper()
		if err := s.UseToken(ctx, a.ID, at); err != nil {
			t.Error(err)
		}
		a.LastUsed = want
		list(a, b)
	}
	hour := time.Date(2026, 2, 3, 4, 0, 0, 0, time.UTC)
	use(hour.Add(59*time.Minute), hour)
	use(hour.Add(-time.Minute), hour) // the clock of another server is slow
	use(hour.Add(time.Hour), hour.Add(time.Hour))

	revoked := hour.Add(5 * time.Second)
	for _, at := range []time.Time{revoked, revoked.Add(time.Hour)} {
		if err := s.RevokeToken(ctx, a.ID, at); err != nil {
			t.Error(err)
		}
	}
	a.Revoked = revoked
	list(a, b)
	if err := s.RevokeToken(ctx, "none", revoked); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("revoke an unknown token: got error %v, want ErrNotFound", err)
	}

	got, err := s.Token(ctx, a.ID)
	if diff := cmp.Diff(&a, got); err != nil || diff != "" || !got.Matches(text) || got.Allows(access.Read) {
		t.Errorf("Token: got %+v (error %v), want the revoked token (-want +got):\n%s", got, err, diff)
	}
	for _, id := range []string{"none", "", "' OR 1=1 --"} {
		if got, err := s.Token(ctx, id); got != nil || err != nil {
			t.Errorf("Token(%q): got %v (error %v), want nil", id, got, err)
		}
	}
}

// If several servers start on a new store at the same time, one of them adds the first token.
func testConcurrentFirstToken(t *testing.T, name string) {
	ctx := context.Background()
	open(t, name)
	var added atomic.Int64
	try := func() {
		k, _ := access.NewToken("first start", access.Read, time.Now())
		link, _ := access.NewLink(k.ID, time.Now())
		ok, err := open(t, name).AddFirstToken(ctx, k, link)
		if err != nil {
			t.Error(err)
		}
		if ok {
			added.Add(1)
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(try)
	}
	wg.Wait()
	all, err := open(t, name).Tokens(ctx)
	if err != nil || len(all) != 1 || added.Load() != 1 {
		t.Fatalf("got %d tokens and %d first ones (error %v), want one", len(all), added.Load(), err)
	}
	if links := dumpTables(t, name, []string{"link"})["link"]; len(links) != 1 || !strings.Contains(links[0], all[0].ID) {
		t.Errorf("got links %v, want one of token %s", links, all[0].ID)
	}
	if err := open(t, name).RevokeToken(ctx, all[0].ID, time.Now()); err != nil {
		t.Error(err)
	}
	if try(); added.Load() != 1 {
		t.Error("AddFirstToken added another token after the first was revoked")
	}
}
