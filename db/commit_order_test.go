package db_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker/catalog"
	"relcheck/db"
	"relcheck/db/pgtest"
)

// heldHeap is the heap usage of a report whose commit waits for advisory lock 1.
const heldHeap = 42

// Follow never skips a row that a late commit adds. In the control, all writers share one
// sequence, and Follow misses rows.
func TestLateCommitIsNotSkipped(t *testing.T) {
	for name, record := range map[string]func(t *testing.T, name string) []func(heap int64) uuid.UUID{
		"node per connection": nodeWriters,
		"shared sequence":     sequenceWriters,
	} {
		t.Run(name, func(t *testing.T) {
			name := pgtest.Database(t)
			s := open(t, name)
			holdCommits(t, name)
			writers := record(t, name)
			lock := raw(t, name)
			lock.SetMaxOpenConns(1)
			seen, sent := map[uuid.UUID]int{}, map[uuid.UUID]bool{}
			position := db.Position{}
			follow := func() {
				t.Helper()
				err := s.Follow(context.Background(), "opa", position, func(r *db.Recorded) error {
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
				go func() { late <- writers[round%len(writers)](heldHeap) }()
				awaitHeldCommit(t, lock)
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
					t.Errorf("report %s: Follow returned it %d times, want once", id, seen[id])
				}
			}
			if control := strings.HasPrefix(t.Name(), "TestLateCommitIsNotSkipped/shared"); control != (missed > 0) {
				t.Errorf("Follow missed %d of %d reports, want some only with a shared sequence", missed, len(sent))
			}
		})
	}
}

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

// awaitHeldCommit waits until a commit waits for the lock.
func awaitHeldCommit(t *testing.T, d *sql.DB) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
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
	t.Fatal("timeout: no commit waits for the lock")
}

func execute(t testing.TB, d *sql.DB, text string) {
	t.Helper()
	if _, err := d.Exec(text); err != nil {
		t.Fatal(err)
	}
}

// nodeWriters returns functions that record through the writers of three servers.
func nodeWriters(t *testing.T, name string) (all []func(heap int64) uuid.UUID) {
	for range 3 {
		w := writer(t, open(t, name))
		t.Cleanup(func() { w.Close() })
		all = append(all, func(heap int64) uuid.UUID {
			r := report("1.0.0")
			r.HeapUsageBytes = &heap
			if _, err := w.Record(context.Background(), "opa", linux, r); err != nil {
				t.Error(err)
			}
			return r.ID
		})
	}
	return all
}

// sequenceWriters returns three functions that insert reports numbered by one sequence of the
// database.
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

// A product that is removed during the commit of one of its reports leaves no rows, whichever
// of the two commits first.
func TestRemoveProductDuringCommit(t *testing.T) {
	t.Parallel()
	name := pgtest.Database(t)
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	holdCommits(t, name)
	lock := raw(t, name)
	lock.SetMaxOpenConns(1)
	for range 5 {
		if err := s.AddProduct(context.Background(), catalog.Product{Name: "app", Title: "App"}); err != nil {
			t.Fatal(err)
		}
		first := report("1.0.0")
		if _, err := w.Record(context.Background(), "app", linux, first); err != nil {
			t.Fatal(err)
		}
		execute(t, lock, "SELECT pg_advisory_lock(1)")
		result := make(chan error)
		go func() {
			r, heap := report("1.0.0"), int64(heldHeap)
			r.HeapUsageBytes = &heap
			_, err := w.Record(context.Background(), "app", linux, r)
			result <- err
		}()
		awaitHeldCommit(t, lock)
		removed := make(chan error)
		go func() { removed <- s.RemoveProduct(context.Background(), "app", true) }()
		time.Sleep(300 * time.Millisecond)
		execute(t, lock, "SELECT pg_advisory_unlock(1)")
		if err := <-result; err != nil && !errors.Is(err, db.ErrNotFound) {
			t.Errorf("Record: got error %v, want none or ErrNotFound", err)
		}
		if err := <-removed; err != nil {
			t.Errorf("RemoveProduct: %v", err)
		}
		var left int
		err := raw(t, name).QueryRow("SELECT count(*) FROM report WHERE product NOT IN (SELECT id FROM product WHERE name IS NOT NULL)").Scan(&left)
		if err != nil || left > 0 {
			t.Fatalf("got %d reports without a product (error %v), want none", left, err)
		}
	}
}
