package db_test

import (
	"context"
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
		"alike":   {func(t *testing.T, name string) { pgtest.Exec(t, name, "CREATE TABLE setting (key TEXT)") }, "not a relcheck database"},
		"unmarked": {func(t *testing.T, name string) {
			pgtest.Exec(t, name, "CREATE TABLE setting (name TEXT, value BIGINT)")
		}, "not a relcheck database"},
		"newer": {func(t *testing.T, name string) {
			open(t, name).Close()
			pgtest.Exec(t, name, "UPDATE setting SET value = 1000 WHERE name = 'schema'")
		}, "written by a newer relcheck"},
		"careless": {func(t *testing.T, name string) {
			pgtest.Exec(t, name, "ALTER DATABASE "+name[strings.LastIndex(name, "/")+1:]+" SET synchronous_commit = off")
		}, "synchronous_commit off"},
	} {
		t.Run(name, func(t *testing.T) {
			name := pgtest.Database(t)
			c.prepare(t, name)
			before := tableCount(t, name)
			s, err := db.Open(context.Background(), name, schema(t))
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one that says %q", err, c.want)
			}
			if after := tableCount(t, name); after != before {
				t.Errorf("there were %d tables, now there are %d", before, after)
			}
		})
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

// A commit that no longer waits for the synchronous standby succeeds, and is no
// acknowledgement.
func TestCommitWithoutStandby(t *testing.T) {
	t.Parallel()
	server, err := pgtest.New()
	pgtest.RequireInstalled(t, err)
	t.Cleanup(server.Remove)
	name := server.Database(t)
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, name, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
	d := raw(t, name)
	var waiting int
	for deadline := time.Now().Add(20 * time.Second); waiting == 0; { // until the setting has arrived everywhere
		if time.Now().After(deadline) {
			t.Fatal("no commit waits for the standby")
		}
		result := make(chan error, 1)
		go func() { result <- w.Record(context.Background(), "opa", linux, report("1.0.0")) }()
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
			t.Error("acknowledged what no standby has")
		}
	}
	pgtest.Exec(t, name, "SET synchronous_commit = local", "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
	awaitReady(t, w)
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Error(err)
	}
}

// A server that goes away and comes back is all the same to those who go on.
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
		if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err == nil {
			t.Error("recorded without a database")
		}
		if w.Ready() == nil {
			t.Error("ready without a database")
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		awaitReady(t, w)
		if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
			t.Error(err)
		}
		if _, err := s.Changes(context.Background(), catalog.Revision{}); err != nil {
			t.Error(err)
		}
	}
	if n := len(recorded(t, s, "opa")); n != 2 {
		t.Errorf("%d reports are there", n)
	}
}

// An idle writer finds out by itself that the database is gone, and back.
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
			t.Fatal("still ready")
		}
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, w)
}

// Several servers find builds, count checks and record at once.
func TestConcurrentWriters(t *testing.T) {
	name := pgtest.Database(t)
	var wg sync.WaitGroup
	var sent sync.Map
	var s *db.Store
	for range 3 {
		s = open(t, name)
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
						if err := w.Record(context.Background(), "opa", linux, r); err != nil {
							t.Error(err)
						}
					}
				})
			}
			callers.Wait()
		})
	}
	wg.Wait()
	for _, r := range recorded(t, s, "opa") {
		if version, ok := sent.LoadAndDelete(r.ID); !ok || version != r.Version {
			t.Errorf("%s of version %v is recorded as %s", r.ID, version, r.Version)
		}
	}
	var reports, checks, builds int
	err := raw(t, name).QueryRow(`SELECT (SELECT count(*) FROM report JOIN build ON build.product = report.product AND build.id = report.build),
		(SELECT sum(count) FROM checks), (SELECT count(*) FROM build)`).Scan(&reports, &checks, &builds)
	if want := 3 * 16 * 20; err != nil || reports != want || checks != want || builds != 64 {
		t.Errorf("%d reports and %d checks of %d builds, %v; want %d, %[5]d and 64", reports, checks, builds, err, want)
	}
}
