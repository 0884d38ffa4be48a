package db_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/db"
	"relcheck/db/pgtest"
)

func TestOpenPostgresErrors(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, name string)
		want    string
	}{
		"foreign": {func(t *testing.T, name string) { pgtest.Exec(t, name, "CREATE TABLE recipe (name TEXT)") }, "not a relcheck database"},
		"similar": {func(t *testing.T, name string) { pgtest.Exec(t, name, "CREATE TABLE setting (key TEXT)") }, "not a relcheck database"},
		"unmarked": {func(t *testing.T, name string) {
			pgtest.Exec(t, name, "CREATE TABLE setting (name TEXT, value BIGINT)")
		}, "not a relcheck database"},
		"newer": {func(t *testing.T, name string) {
			open(t, name).Close()
			pgtest.Exec(t, name, "UPDATE setting SET value = 1000 WHERE name = 'schema'")
		}, "written by a newer relcheck"},
		"no synchronous commit": {func(t *testing.T, name string) {
			pgtest.Exec(t, name, "ALTER DATABASE "+name[strings.LastIndex(name, "/")+1:]+" SET synchronous_commit = off")
		}, "synchronous_commit off"},
	} {
		t.Run(name, func(t *testing.T) {
			name := pgtest.Database(t)
			c.prepare(t, name)
			before := tableCount(t, name)
			for _, schema := range []string{schema(t), ""} { // without one, Open creates nothing
				s, err := db.Open(context.Background(), name, schema)
				if err == nil {
					s.Close()
				}
				if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, db.ErrNoStore) {
					t.Errorf("got error %v, want %q", err, c.want)
				}
			}
			if after := tableCount(t, name); after != before {
				t.Errorf("got %d tables, want %d as before", after, before)
			}
		})
	}
}

func TestOpenMissingDatabase(t *testing.T) {
	name := pgtest.Database(t)
	if _, err := db.OpenExisting(context.Background(), name); !errors.Is(err, db.ErrNoStore) {
		t.Errorf("got error %v, want %v", err, db.ErrNoStore)
	}
	if n := tableCount(t, name); n != 0 {
		t.Errorf("got %d tables, want none", n)
	}
}

func tableCount(t *testing.T, name string) (n int64) {
	t.Helper()
	err := raw(t, name).QueryRow("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// If PostgreSQL stops waiting for the synchronous standby, the commit succeeds there, but Record
// returns an error.
func TestCommitWithoutStandby(t *testing.T) {
	t.Parallel()
	server, err := pgtest.New()
	pgtest.RequireInstalled(t, err)
	t.Cleanup(server.Remove)
	name := server.Database(t)
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, name, "ALTER SYSTEM SET synchronous_standby_names = 'absent'", "SELECT pg_reload_conf()")
	d := raw(t, name)
	var waiting int
	for deadline := time.Now().Add(20 * time.Second); waiting == 0; { // until the setting has taken effect
		if time.Now().After(deadline) {
			t.Fatal("no commit waits for the standby")
		}
		result := make(chan error, 1)
		go func() { _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); result <- err }()
		var err error
		for done := false; !done; time.Sleep(10 * time.Millisecond) {
			var n int
			q := "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
			if err := d.QueryRow(q).Scan(&n); err != nil {
				t.Fatal(err)
			}
			waiting += n
			select {
			case err = <-result:
				done = true
			default:
			}
		}
		if waiting > 0 && err == nil {
			t.Error("Record without a standby: got no error")
		}
	}
	pgtest.Exec(t, name, "SET synchronous_commit = local", "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
	awaitReady(t, w)
	if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Error(err)
	}
}

// The store and its writer continue once PostgreSQL is back after a restart or a crash.
func TestPostgresRestart(t *testing.T) {
	t.Parallel()
	server, err := pgtest.New()
	pgtest.RequireInstalled(t, err)
	t.Cleanup(server.Remove)
	s := open(t, server.Database(t))
	w := writer(t, s)
	defer w.Close()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		server.Stop(signal)
		if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err == nil {
			t.Error("Record without a database: got no error")
		}
		if w.Ready() == nil {
			t.Error("the writer is ready without a database")
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		awaitReady(t, w)
		if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
			t.Error(err)
		}
		if _, err := s.Changes(context.Background(), catalog.Revision{}); err != nil {
			t.Error(err)
		}
	}
	if n := len(recorded(t, s, "opa")); n != 2 {
		t.Errorf("got %d reports, want 2", n)
	}
}

// An idle writer notices by itself that the database is gone, and that it is back.
func TestPostgresStopsWhileIdle(t *testing.T) {
	t.Parallel()
	server, err := pgtest.New()
	pgtest.RequireInstalled(t, err)
	t.Cleanup(server.Remove)
	w := writer(t, open(t, server.Database(t)))
	defer w.Close()
	server.Stop(syscall.SIGINT)
	for deadline := time.Now().Add(20 * time.Second); w.Ready() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("timeout: the writer is ready without a database")
		}
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, w)
}

// Several servers create the same builds, count checks and record at the same time. None
// may wait for another one that waits for it: PostgreSQL would end that only after a second.
func TestConcurrentWriters(t *testing.T) {
	name := pgtest.Database(t)
	var wg sync.WaitGroup
	var sent sync.Map
	var stores []*db.Store
	for range 3 {
		s := open(t, name)
		stores = append(stores, s)
		w := writer(t, s)
		wg.Go(func() {
			defer w.Close()
			var callers sync.WaitGroup
			for c := range 16 {
				callers.Go(func() {
					for i := range 20 {
						version := fmt.Sprintf("1.%d.%d", c, i%4)
						w.Count("opa", version, linux)
						r := report(version)
						sent.Store(r.ID, version)
						if _, err := w.Record(context.Background(), "opa", linux, r); err != nil {
							t.Error(err)
						}
					}
				})
			}
			callers.Wait()
		})
	}
	wg.Wait()
	for _, r := range recorded(t, stores[0], "opa") {
		if version, ok := sent.LoadAndDelete(r.ID); !ok || version != r.Version {
			t.Errorf("report %s: got version %s, want %v", r.ID, r.Version, version)
		}
	}
	d := raw(t, name)
	var reports, checks, builds int
	err := d.QueryRow(`SELECT (SELECT count(*) FROM report JOIN build ON build.product = report.product AND build.id = report.build),
		(SELECT sum(count) FROM checks), (SELECT count(*) FROM build)`).Scan(&reports, &checks, &builds)
	if want := 3 * 16 * 20; err != nil || reports != want || checks != want || builds != 64 {
		t.Errorf("got %d reports and %d checks of %d builds (error %v), want %d, %[5]d and 64", reports, checks, builds, err, want)
	}
	checkNoDeadlocks(t, d, stores)
}

// Two servers create the same builds in opposite orders. Another transaction holds a build that
// is in the middle of both, so that each server would have created only its first one when the
// other one begins.
func TestSameBuildsAtOnce(t *testing.T) {
	name := pgtest.Database(t)
	stores := []*db.Store{open(t, name), open(t, name)}
	writers := []*db.Writer{writer(t, stores[0]), writer(t, stores[1])}
	d := raw(t, name)
	record := func(w *db.Writer, version string) {
		if _, err := w.Record(context.Background(), "opa", linux, report(version)); err != nil {
			t.Error(err)
		}
	}
	record(writers[0], "1.0.0")
	unlock := lockStore(t, name)
	var wg sync.WaitGroup
	for i, versions := range [][]string{{"1.0.1", "1.0.2", "1.0.3"}, {"1.0.3", "1.0.2", "1.0.1"}} {
		wg.Go(func() { record(writers[i], "1.0.0") }) // which exists
		awaitWaiting(writers[i], 0)
		for n, version := range versions {
			wg.Go(func() { record(writers[i], version) })
			awaitWaiting(writers[i], n+1)
		}
	}
	release := holdLock(t, d, "INSERT INTO build (product, version, os, arch, id) SELECT id, '1.0.2', 'linux', 'amd64', 1000000 FROM product WHERE name = 'opa'")
	unlock()
	for _, w := range writers {
		awaitWaiting(w, 0)
	}
	awaitLockWaits(t, d, len(writers))
	release()
	wg.Wait()
	for _, w := range writers {
		w.Close()
	}
	checkNoDeadlocks(t, d, stores)
}
