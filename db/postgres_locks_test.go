package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
	"relcheck/db/pgtest"
)

// holdLock runs a statement in a transaction, which release undoes.
func holdLock(t *testing.T, d *sql.DB, statement string) (release func()) {
	t.Helper()
	tx, err := d.Begin()
	if err == nil {
		_, err = tx.Exec(statement)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { tx.Rollback() }
}

// awaitLockWaits waits until so many connections to the database wait for a lock.
func awaitLockWaits(t *testing.T, d *sql.DB, want int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var n int
		err := d.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n >= want {
			return
		}
	}
	t.Fatalf("timeout: fewer than %d connections wait for a lock", want)
}

// checkNoDeadlocks closes stores and checks that PostgreSQL has ended none of their transactions
// because they waited for each other. Their writers must be closed.
func checkNoDeadlocks(t *testing.T, d *sql.DB, stores []*db.Store) {
	t.Helper()
	for _, s := range stores {
		s.Close()
	}
	d.SetMaxOpenConns(1)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var others, n int // PostgreSQL counts the deadlocks of a connection when it has ended
		err := d.QueryRow(`SELECT count(*), (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database())
			FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&others, &n)
		switch {
		case err != nil || time.Now().After(deadline):
			t.Fatalf("%d connections are left (error %v)", others, err)
		case others == 0 && n != 0:
			t.Errorf("transactions have waited for each other %d times", n)
			return
		case others == 0:
			return
		}
	}
}

// A product is removed without its reports only if it has none: not if its first report is
// acknowledged after the removal has looked for reports.
func TestRemovalBesideFirstReport(t *testing.T) {
	ctx, name := context.Background(), pgtest.Database(t)
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	d := raw(t, name)
	record := func() error { return errOf(w.Record(ctx, "app", linux, report("1.0.0"))) }
	count := func() error {
		w.Count("app", "1.0.0", linux)
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			var n int
			if err := d.QueryRow("SELECT count(*) FROM checks").Scan(&n); err != nil || n > 0 {
				return err
			}
		}
		return errors.New("timeout: the check was not counted")
	}
	for what, add := range map[string]func() error{"report": record, "check": count} {
		if err := s.AddProduct(ctx, catalog.Product{Name: "app", Title: "App"}); err != nil {
			t.Fatal(err)
		}
		release := holdLock(t, d, "SELECT value FROM setting WHERE name = 'marked' FOR UPDATE")
		removed := make(chan error, 1)
		go func() { removed <- s.RemoveProduct(ctx, "app", false) }()
		awaitLockWaits(t, d, 1) // after it has looked for reports
		err := add()
		release()
		if removal := <-removed; err != nil || !errors.Is(removal, db.ErrInUse) {
			t.Errorf("%s: got error %v, and %v of the removal; want none and ErrInUse", what, err, removal)
		}
		if err := s.RemoveProduct(ctx, "app", true); err != nil {
			t.Fatal(err)
		}
	}
}

// While a product is being removed, a server that gets reports of its new builds does not keep
// others from creating builds of other products.
func TestBuildsBesideRemoval(t *testing.T) {
	ctx, name := context.Background(), pgtest.Database(t)
	s := open(t, name)
	first, second := writer(t, s), writer(t, open(t, name))
	defer first.Close()
	defer second.Close()
	if err := s.AddProduct(ctx, catalog.Product{Name: "app", Title: "App"}); err != nil {
		t.Fatal(err)
	}
	release := holdLock(t, raw(t, name), "UPDATE product SET name = NULL WHERE name = 'app'")
	recorded := make(chan error, 1)
	go func() { recorded <- errOf(first.Record(ctx, "app", linux, report("1.0.0"))) }()
	for i := range 10 {
		if _, err := second.Record(ctx, "opa", linux, report(fmt.Sprintf("1.0.%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	release()
	if err := <-recorded; err != nil {
		t.Errorf("after the removal was canceled: %v", err)
	}
}

// Reports of new builds are recorded while the counts of a site with new builds are applied,
// which may take long.
func TestBuildsBesideCounts(t *testing.T) {
	ctx, name := context.Background(), pgtest.Database(t)
	s := open(t, name)
	w := writer(t, open(t, name))
	defer w.Close()
	b, n := siteBundle(t, s, 0, 1, worldDays.To), 0
	for _, b.DryRun = range []bool{true, false} {
		results, err := s.ApplyCounts(ctx, b, []*db.CountedProduct{{Name: "opa", Sequence: 1, Cells: func(yield func(*rollup.Cell, error) bool) {
			for i := range 3 {
				var c rollup.Cell
				c.Version, c.Platform, c.Span, c.Day = fmt.Sprintf("1.0.%d", i), linux, rollup.OneDay, worldDays.From
				c.Reports, c.Instances = 1, 1
				if !yield(&c, nil) {
					return
				}
				n++
				if _, err := w.Record(ctx, "opa", linux, report(fmt.Sprintf("2.0.%d", n))); err != nil {
					t.Error(err)
				}
			}
		}}})
		if err != nil || results[0].Cells != 3 {
			t.Errorf("got %+v (error %v), want 3 cells", results, err)
		}
	}
	var builds, counts int
	err := raw(t, name).QueryRow(`SELECT (SELECT count(*) FROM build), (SELECT count(*) FROM site_count JOIN build ON build.product = site_count.product AND build.id = site_count.build)`).Scan(&builds, &counts)
	if err != nil || builds != n+3 || counts != 3 {
		t.Errorf("got %d builds and %d counts (error %v), want %d and 3", builds, counts, err, n+3)
	}
}

// A change of the catalog that takes long, such as an import, delays no server: each can start,
// record, fold, delete what has expired, and let users sign in.
func TestServersBesideChange(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	name := pgtest.Database(t)
	k := addToken(t, open(t, name))
	defer holdLock(t, raw(t, name), "LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE; UPDATE setting SET value = value + 1 WHERE name IN ('catalog', 'marked', 'audit')")()
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	link, _ := access.NewLink(k.ID, time.Now())
	session, _ := access.NewSession(k.ID, time.Now())
	for what, do := range map[string]func() error{
		"first token": func() error { return errOf(s.AddFirstToken(ctx, k, link)) },
		"base URL":    func() error { return s.SetBaseURL(ctx, "https://example.com") },
		"record":      func() error { return errOf(w.Record(ctx, "opa", linux, report("1.0.0"))) },
		"fold":        func() error { return errOf(s.Fold(ctx)) },
		"sweep":       func() error { return s.SweepAt(ctx, db.Retention{Reports: time.Hour}, time.Now()) },
		"use a token": func() error { return s.UseToken(ctx, k.ID, time.Now()) },
		"sign in":     func() error { return s.AddSession(ctx, session) },
	} {
		if err := do(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Two servers change the same rows in opposite orders. The first one is held up in the middle.
func TestOppositeOrders(t *testing.T) {
	ctx := context.Background()
	for what, c := range map[string]struct {
		middle string // statement that locks a row in the middle
		change func(s *db.Store, server int) error
	}{
		"bundles": {
			"INSERT INTO bundle_sequence SELECT id, 1 FROM product WHERE name = 'relcheck'",
			func(s *db.Store, server int) error {
				return errOf(s.NextBundleSequences(ctx, turned(server, "opa", "relcheck", "synced"), time.Now()))
			},
		},
		"imports": {
			`INSERT INTO release_layer (product, tag, layer, id, list, gone, revision) SELECT id, 'v3.5', 0, 0, '', false, -1 FROM product WHERE name = 'synced'`,
			func(s *db.Store, server int) error {
				return errOf(s.ImportReleases(ctx, "synced", ordered(server, "v3.", []int{150, 10}[server]), true)) // only the long list is staged
			},
		},
	} {
		name := pgtest.Database(t)
		stores := []*db.Store{newSynced(t, name), open(t, name)}
		d := raw(t, name)
		release := holdLock(t, d, c.middle)
		results := make(chan error, len(stores))
		for server, s := range stores {
			go func() { results <- c.change(s, server) }()
			awaitLockWaits(t, d, 1+server)
		}
		release()
		for range stores {
			if err := <-results; err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		checkNoDeadlocks(t, d, stores)
	}
}
