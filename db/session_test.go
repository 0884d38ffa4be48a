package db_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/db"
)

func addToken(t *testing.T, s *db.Store) access.Token {
	t.Helper()
	k, _ := access.NewToken("test", access.Read, time.Now())
	if err := s.AddToken(context.Background(), k); err != nil {
		t.Fatal(err)
	}
	return k
}

// lookUpToken returns the ID of the valid token that look finds, or "".
func lookUpToken(t *testing.T, look func(context.Context, access.Hash) (*access.Token, error), hash access.Hash) string {
	t.Helper()
	k, err := look(context.Background(), hash)
	if err != nil {
		t.Fatal(err)
	}
	if k == nil || !k.Valid() {
		return ""
	}
	return k.ID
}

// A sign-in link can be used once, until it expires or its token is revoked.
func testSignInLinks(t *testing.T, name string) {
	ctx := context.Background()
	s, now := open(t, name), time.Now()
	k, other := addToken(t, s), addToken(t, s)
	link, _ := access.NewLink(k.ID, now)
	revoked, _ := access.NewLink(other.ID, now)
	expired, _ := access.NewLink(k.ID, now.Add(-access.LinkLifetime))
	unknown, _ := access.NewLink(k.ID, now)
	for _, g := range []access.Grant{link, revoked, expired} {
		if err := s.AddLink(ctx, g); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RevokeToken(ctx, other.ID, now); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		link  access.Grant
		valid bool
	}{"valid": {link, true}, "revoked token": {revoked, false}, "expired": {expired, false}, "unknown": {unknown, false}} {
		want := ""
		if c.valid {
			want = k.ID
		}
		if got := lookUpToken(t, s.Link, c.link.Hash); got != want {
			t.Errorf("%s link: got token %q, want %q", what, got, want)
		}
		for try, want := range []bool{c.valid, false} {
			session, _ := access.NewSession(c.link.TokenID, now)
			if used, err := s.UseLink(ctx, c.link.Hash, session); used != want || err != nil {
				t.Errorf("%s link, use %d: got %v (error %v), want %v", what, try+1, used, err, want)
			}
			if got := lookUpToken(t, s.Session, session.Hash); (got == c.link.TokenID) != want {
				t.Errorf("%s link, use %d: got session of token %q, want one: %v", what, try+1, got, want)
			}
		}
	}
	if got := dumpTables(t, name, []string{"link"})["link"]; len(got) != 1 {
		t.Errorf("got remaining links %v, want the expired one", got)
	}
}

// If several browsers use one link at the same time, one of them is signed in.
func testConcurrentSignIn(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	link, _ := access.NewLink(addToken(t, s).ID, time.Now())
	if err := s.AddLink(ctx, link); err != nil {
		t.Fatal(err)
	}
	var used atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		own := open(t, name)
		wg.Go(func() {
			session, _ := access.NewSession(link.TokenID, time.Now())
			ok, err := own.UseLink(ctx, link.Hash, session)
			if err != nil {
				t.Error(err)
			}
			if ok {
				used.Add(1)
			}
		})
	}
	wg.Wait()
	if got := dumpTables(t, name, []string{"session"})["session"]; used.Load() != 1 || len(got) != 1 {
		t.Errorf("got %d uses of the link and sessions %v, want one of each", used.Load(), got)
	}
}

// A session ends when the user signs out, its token is revoked, or it expires.
func testSessions(t *testing.T, name string) {
	ctx := context.Background()
	s, now := open(t, name), time.Now()
	k, other := addToken(t, s), addToken(t, s)
	all := map[string]access.Grant{}
	for what, c := range map[string]struct {
		token string
		at    time.Time
	}{"kept": {k.ID, now}, "signed out": {k.ID, now}, "revoked": {other.ID, now}, "expired": {k.ID, now.Add(-access.SessionLifetime)}} {
		g, _ := access.NewSession(c.token, c.at)
		if err := s.AddSession(ctx, g); err != nil {
			t.Fatal(err)
		}
		all[what] = g
		if got := lookUpToken(t, s.Session, g.Hash); (got == c.token) != (what != "expired") {
			t.Errorf("%s session: got token %q at first, want one: %v", what, got, what != "expired")
		}
	}
	for range 2 {
		if err := s.EndSession(ctx, all["signed out"].Hash); err != nil {
			t.Error(err)
		}
	}
	if err := s.RevokeToken(ctx, other.ID, now); err != nil {
		t.Error(err)
	}
	for what, g := range all {
		if got := lookUpToken(t, s.Session, g.Hash); (got == k.ID) != (what == "kept") {
			t.Errorf("%s session: got token %q at the end, want one: %v", what, got, what == "kept")
		}
	}
	if got := len(dumpTables(t, name, []string{"session"})["session"]); got != 2 {
		t.Errorf("got %d stored sessions, want the kept and the expired one", got)
	}
	if err := s.SweepAt(ctx, db.Retention{}, now); err != nil {
		t.Fatal(err)
	}
	if got := len(dumpTables(t, name, []string{"session"})["session"]); got != 1 {
		t.Errorf("got %d stored sessions after the sweep, want the kept one", got)
	}
}

// The store keeps the newest 100 sessions and links of each token, and 10,000 sessions in all.
func testSessionLimits(t *testing.T, name string) {
	const more, most = 110, 100
	ctx := context.Background()
	s, now := open(t, name), time.Now()
	k, other := addToken(t, s), addToken(t, s)
	otherSession, _ := access.NewSession(other.ID, now.Add(-time.Hour))
	if err := s.AddSession(ctx, otherSession); err != nil {
		t.Fatal(err)
	}
	var made []access.Grant
	for i := range more {
		at := now.Add(time.Duration(i-more) * time.Second)
		session, _ := access.NewSession(k.ID, at)
		link, _ := access.NewLink(k.ID, at)
		if err := s.AddLink(ctx, link); err != nil {
			t.Fatal(err)
		}
		if err := s.AddSession(ctx, session); err != nil {
			t.Fatal(err)
		}
		made = append(made, session)
	}
	for i, g := range made {
		if got := lookUpToken(t, s.Session, g.Hash); (got == k.ID) != (i >= more-most) {
			t.Errorf("session %d of %d: got token %q, want one: %v", i+1, more, got, i >= more-most)
		}
	}
	if got := lookUpToken(t, s.Session, otherSession.Hash); got != other.ID {
		t.Errorf("session of another token: got token %q, want %q", got, other.ID)
	}
	d := raw(t, name)
	defer d.Close()
	var links, n, least int64
	err := d.QueryRow("SELECT (SELECT count(*) FROM link), (SELECT count(*) FROM session)").Scan(&links, &n)
	if links != most || n != most+1 || err != nil {
		t.Errorf("got %d links and %d sessions (error %v), want %d and %d", links, n, err, most, most+1)
	}
	tx, err := d.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10_050 {
		if _, err := tx.Exec("INSERT INTO session VALUES ($1, 'none', $2)", fmt.Appendf(nil, "%032d", i), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	session, _ := access.NewSession(other.ID, now)
	if err := s.AddSession(ctx, session); err != nil {
		t.Fatal(err)
	}
	if err := d.QueryRow("SELECT count(*), min(expires) FROM session").Scan(&n, &least); err != nil || n != 10_000 || least < 100 {
		t.Errorf("got %d sessions, the oldest expiring at %d (error %v), want 10000 and at least 100", n, least, err)
	}
}
