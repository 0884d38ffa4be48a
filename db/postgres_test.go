package db_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/db"
	"relcheck/db/pgtest"
)

func TestPostgresRefuses(t *testing.T) {
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

// What a reader has gone past never grows a row, however late a commit comes.
// The control gives all writers one sequence, and the reader misses rows.
func TestLateCommitIsNotSkipped(t *testing.T) {
	for name, record := range map[string]func(t *testing.T, name string) []func(heap int64) uuid.UUID{
		"a node for each connection": nodeWriters,
		"one sequence for all":       sequenceWriters,
	} {
		t.Run(name, func(t *testing.T) {
			name := pgtest.Database(t)
			s := open(t, name)
			holdCommits(t, name)
			writers := record(t, name)
			lock := raw(t, name)
			lock.SetMaxOpenConns(1)
			seen, sent := map[uuid.UUID]int{}, map[uuid.UUID]bool{}
			var position db.Position
			follow := func() {
				t.Helper()
				err := s.Follow(context.Background(), "opa", &position, func(r *db.Recorded) error {
					seen[r.ID]++
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			for round := range 12 {
				execute(t, lock, "SELECT pg_advisory_lock(1)")
				late := make(chan uuid.UUID)
				go func() { late <- writers[round%len(writers)](held) }()
				awaitHeld(t, lock)
				for i, w := range writers {
					if i != round%len(writers) {
						sent[w(1)] = true
					}
				}
				follow()
				execute(t, lock, "SELECT pg_advisory_unlock(1)")
				sent[<-late] = true
				follow()
			}
			missed := 0
			for id := range sent {
				if seen[id] == 0 {
					missed++
				}
				if seen[id] > 1 {
					t.Errorf("%s was seen %d times", id, seen[id])
				}
			}
			if control := strings.HasPrefix(t.Name(), "TestLateCommitIsNotSkipped/one"); control != (missed > 0) {
				t.Errorf("the reader missed %d of %d rows", missed, len(sent))
			}
		})
	}
}

// held is the heap of a report whose commit waits for the lock 1.
const held = 42

func holdCommits(t *testing.T, name string) {
	t.Helper()
	pgtest.Exec(t, name, `CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF NEW.heap = 42 THEN PERFORM pg_advisory_xact_lock(1); END IF;
			RETURN NULL;
		END $$`,
		`CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON report DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION hold()`,
		"CREATE SEQUENCE shared")
}

// awaitHeld waits until a commit waits.
func awaitHeld(t *testing.T, d *sql.DB) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var n int
		err := d.QueryRow(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
	}
	t.Fatal("no commit waits")
}

func execute(t *testing.T, d *sql.DB, text string) {
	t.Helper()
	if _, err := d.Exec(text); err != nil {
		t.Fatal(err)
	}
}

// nodeWriters are the writers of three servers.
func nodeWriters(t *testing.T, name string) (all []func(heap int64) uuid.UUID) {
	for range 3 {
		w := writer(t, open(t, name))
		t.Cleanup(func() { w.Close() })
		all = append(all, func(heap int64) uuid.UUID {
			r := report("1.0.0")
			r.HeapUsageBytes = &heap
			if err := w.Record(context.Background(), "opa", linux, r); err != nil {
				t.Error(err)
			}
			return r.ID
		})
	}
	return all
}

// sequenceWriters are three that number their rows by one sequence of the database.
func sequenceWriters(t *testing.T, name string) (all []func(heap int64) uuid.UUID) {
	d := raw(t, name)
	execute(t, d, "INSERT INTO build (product, version, os, arch, id) SELECT id, '1.0.0', 'linux', 'amd64', 1 FROM product WHERE name = 'opa'")
	for range 3 {
		all = append(all, func(heap int64) uuid.UUID {
			id := uuid.New()
			_, err := d.Exec(`INSERT INTO report (product, seq, at, build, instance, heap)
				SELECT id, nextval('shared'), 1, 1, $1, $2 FROM product WHERE name = 'opa'`, id[:], heap)
			if err != nil {
				t.Error(err)
			}
			return id
		})
	}
	return all
}

// A commit that no longer waits for the synchronous standby succeeds, and is no
// acknowledgement.
func TestCommitWithoutStandby(t *testing.T) {
	t.Parallel()
	server, err := pgtest.New()
	pgtest.Need(t, err)
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
func TestPostgresRestarted(t *testing.T) {
	t.Parallel()
	server, err := pgtest.New()
	pgtest.Need(t, err)
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
		if _, err := s.Catalog(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if n := len(recorded(t, s, "opa")); n != 2 {
		t.Errorf("%d reports are there", n)
	}
}

// An idle writer finds out by itself that the database is gone, and back.
func TestPostgresGoneWhileIdle(t *testing.T) {
	t.Parallel()
	server, err := pgtest.New()
	pgtest.Need(t, err)
	t.Cleanup(server.Remove)
	w := writer(t, open(t, server.Database(t)))
	defer w.Close()
	server.Stop(syscall.SIGINT)
	for deadline := time.Now().Add(5 * time.Second); w.Ready() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still ready")
		}
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, w)
}

// proxy stands between a store and PostgreSQL, and cuts or freezes what goes through.
type proxy struct {
	net.Listener
	to     string
	cut    atomic.Bool // the next answer to a COMMIT is lost, with its connection
	frozen sync.RWMutex
}

func newProxy(t *testing.T, dsn string) (p *proxy, through string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p = &proxy{to: u.Host}
	if p.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	go func() {
		for {
			client, err := p.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	u.Host = p.Addr().String()
	return p, u.String()
}

// awaitThaw returns once nothing is frozen.
func (p *proxy) awaitThaw() {
	p.frozen.RLock()
	defer p.frozen.RUnlock()
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	go func() {
		io.Copy(server, client)
		server.Close()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		p.awaitThaw()
		if err != nil || bytes.Contains(buf[:n], []byte("COMMIT\x00")) && p.cut.CompareAndSwap(true, false) {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// A connection that is cut between COMMIT and its answer means not recorded to
// the caller. That it was recorded all the same counts once at most.
func TestCutDuringCommit(t *testing.T) {
	t.Parallel()
	name := pgtest.Database(t)
	s := open(t, name)
	p, through := newProxy(t, name)
	w := writer(t, open(t, through))
	defer w.Close()
	sent := map[uuid.UUID]bool{} // whether it was acknowledged
	for i := range 10 {
		r := report("1.0.0")
		p.cut.Store(i%2 == 1)
		err := w.Record(context.Background(), "opa", linux, r)
		if cut := i%2 == 1; cut != (err != nil) {
			t.Errorf("report %d, cut %v: %v", i, cut, err)
		}
		sent[r.ID] = err == nil
		if err != nil {
			awaitReady(t, w)
		}
	}
	late := 0
	for _, r := range recorded(t, s, "opa") {
		acknowledged, ok := sent[r.ID]
		if !ok {
			t.Errorf("%s is there twice, or was never sent", r.ID)
		}
		delete(sent, r.ID)
		if !acknowledged {
			late++
		}
	}
	for id, acknowledged := range sent {
		if acknowledged {
			t.Errorf("%s was acknowledged and is not there", id)
		}
	}
	if late == 0 {
		t.Error("no connection was cut after its commit: this has shown nothing")
	}
}

// A database that no longer answers is given up in time, not when TCP says so.
func TestFrozenDatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a write to time out; left out with -short")
	}
	t.Parallel()
	p, through := newProxy(t, pgtest.Database(t))
	w := writer(t, open(t, through))
	defer w.Close()
	p.frozen.Lock()
	begin := time.Now()
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err == nil {
		t.Error("recorded without an answer")
	}
	if d := time.Since(begin); d > 15*time.Second {
		t.Errorf("gave up after %v", d)
	}
	p.frozen.Unlock()
	awaitReady(t, w)
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Error(err)
	}
}

// One of several hosts that no longer answers, and is first in the URL, is
// passed over: as a primary that was replaced may not know it yet.
func TestFrozenPrimary(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a write to time out; left out with -short")
	}
	t.Parallel()
	name := pgtest.Database(t)
	p, through := newProxy(t, name)
	other := name[strings.Index(name, "@")+1 : strings.LastIndex(name, "/")]
	s := open(t, strings.Replace(through, p.Addr().String(), p.Addr().String()+","+other, 1))
	w := writer(t, s)
	defer w.Close()
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	p.frozen.Lock()
	defer p.frozen.Unlock()
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err == nil {
		t.Error("recorded without an answer")
	}
	awaitReady(t, w)
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Withdraw(ctx, "opa", "v1.0.0", true); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("a change by way of the other host: %v", err)
	}
}

// No password comes to light, be the URL right or wrong.
func TestPasswordStaysSecret(t *testing.T) {
	good := pgtest.Database(t)
	host := good[strings.Index(good, "@")+1 : strings.LastIndex(good, "/")]
	var log strings.Builder
	for _, name := range []string{
		good,
		good + "none",
		"postgres://relcheck:pa55-canary@" + host + "/x?sslmode=verify-full",
		"postgres://nobody:pa55-canary@" + host + "/x",
		"postgres://relcheck@" + host + "/x?password=pa55-canary-wrong",
		"postgres://relcheck:pa55-canary@127.0.0.1:1/x",
		"postgres://relcheck:pa55-canary@127.0.0.1:1,localhost:2/x",
		"postgres://relcheck:pa55-canary@/x?host=/nowhere",
		"postgres://relcheck:pa55-canary@none.invalid/x",
		"postgres://relcheck:pa55-canary/more@" + host + "/x",
		"postgres://relcheck:more@pa55-canary@" + host + "/x",
		"postgres://relcheck:more#pa55-canary@" + host + "/x",
		"postgres://relcheck:more:pa55-canary@" + host + "/x",
		"postgres://relcheck:%zzpa55-canary@" + host + "/x",
		"postgres://relcheck:pa55-canary@" + host + ":99999/x",
		"postgres://relcheck@" + host + "/x?sslmode=pa55-canary",
		"postgresql://relcheck:pa55-canary@[::1/x",
		"POSTGRES://relcheck:pa55-canary@" + host + "/x",
		" postgres://relcheck:pa55-canary@" + host + "/x",
		"postgres:relcheck:pa55-canary@" + host + "/x",
		"postgres://relcheck:55/pa55-canary@" + host + "/x",
		"postgres://relcheck:5?pa55-canary@" + host + "/x",
		"host=127.0.0.1 user=relcheck password=pa55-canary dbname=x",
		"password=pa55-canary",
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		s, err := db.Open(ctx, name, schema(t))
		cancel()
		fmt.Fprintln(&log, err)
		if err == nil {
			fmt.Fprintln(&log, s.Name())
			w, err := s.NewWriter(slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Error(err)
			}
			w.Close()
			s.Close()
		}
	}
	if strings.Contains(log.String(), "pa55") {
		t.Error(log.String())
	}
}

func TestHasPassword(t *testing.T) {
	for name, want := range map[string]bool{
		"relcheck.db":                          false,
		"a:b@c":                                false,
		"postgres://host/x":                    false,
		"postgres://user@host:5432/x":          false,
		"postgres://user@h1:5432,h2:5432/x":    false,
		"postgres://user:secret@host/x":        true,
		"postgresql://user:secret@host/x":      true,
		"postgres://user:se/cret@host/x":       true,
		"postgres://user@host/x?password=a":    true,
		"postgres://user@host/x?sslpassword=a": true,
		"postgres://user@host/x?passfile=a":    false,
		"POSTGRES://user:secret@host/x":        true,
		" postgres://user:secret@host/x":       true,
		"postgres:user:secret@host/x":          true,
		"postgres://user:se?cret@host/x":       true,
		"postgres://user@host/x?pass%77ord=a":  true,
		"host=a user=b password=c":             true,
		"password = c dbname=x":                true,
		"password.db":                          false,
		"My postgres: the password":            false,
	} {
		if got := db.HasPassword(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Several servers find builds, count checks and record at once.
func TestWritersAtOnce(t *testing.T) {
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

// A product that is removed while a report of it is being committed leaves no
// row behind, whichever of the two comes first.
func TestRemovedDuringCommit(t *testing.T) {
	t.Parallel()
	name := pgtest.Database(t)
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	holdCommits(t, name)
	lock := raw(t, name)
	lock.SetMaxOpenConns(1)
	for range 5 {
		if err := s.AddProduct(context.Background(), checker.Product{Name: "app", Title: "App"}); err != nil {
			t.Fatal(err)
		}
		first := report("1.0.0")
		if err := w.Record(context.Background(), "app", linux, first); err != nil {
			t.Fatal(err)
		}
		execute(t, lock, "SELECT pg_advisory_lock(1)")
		result := make(chan error)
		go func() {
			r, heap := report("1.0.0"), int64(held)
			r.HeapUsageBytes = &heap
			result <- w.Record(context.Background(), "app", linux, r)
		}()
		awaitHeld(t, lock)
		removed := make(chan error)
		go func() { removed <- s.RemoveProduct(context.Background(), "app", true) }()
		time.Sleep(300 * time.Millisecond)
		execute(t, lock, "SELECT pg_advisory_unlock(1)")
		if err := <-result; err != nil && !errors.Is(err, db.ErrNotFound) {
			t.Errorf("the report: %v", err)
		}
		if err := <-removed; err != nil {
			t.Errorf("the removal: %v", err)
		}
		var left int
		err := raw(t, name).QueryRow("SELECT count(*) FROM report WHERE product NOT IN (SELECT id FROM product WHERE name IS NOT NULL)").Scan(&left)
		if err != nil || left > 0 {
			t.Fatalf("%d rows are left, %v", left, err)
		}
	}
}
