package db_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	sqlite3 "modernc.org/sqlite/lib"

	"relcheck/checker"
	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/db"
	"relcheck/db/faultfs"
)

// statementFaults are the errors after which SQLite rolls back a statement or the whole
// transaction by itself. Statements that followed would then be committed alone
// (https://sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction).
// A sync happens during COMMIT, or when the page cache spills.
var statementFaults = map[string]faultfs.Fault{
	"read":  {Kind: faultfs.Read, Code: sqlite3.SQLITE_IOERR_READ},
	"write": {Kind: faultfs.Write, Code: sqlite3.SQLITE_IOERR_WRITE},
	"space": {Kind: faultfs.Write, Code: sqlite3.SQLITE_FULL},
	"sync":  {Kind: faultfs.Sync, Code: sqlite3.SQLITE_IOERR_FSYNC},
}

// maxFaults is the maximum number of operations of a kind that are made to fail, one in each
// run.
var maxFaults = unlessRace(24, 4)

// If any read or write of a fold fails, each report is still counted once.
func TestFailingFold(t *testing.T) {
	t.Parallel()
	newFaultStore(t, 300).failAll(t, func(s *db.Store) error {
		_, err := s.Fold(context.Background())
		return err
	})
}

// If any read or write of another transaction fails, the change is applied completely, or not
// at all and with an error.
func TestFailingChanges(t *testing.T) {
	skipRace(t)
	t.Parallel()
	b := newFaultStore(t, 30)
	for what, do := range b.changes(t) {
		t.Run(what, func(t *testing.T) { b.failAll(t, do) })
	}
}

// faultStore is the content of a store on which faults are tested.
type faultStore struct {
	schema                string
	file                  []byte
	keptToken, otherToken access.Token
	unrecorded            []db.Recorded // reports for the test to record
}

// newFaultStore returns a store with folded reports, and as many unfolded ones of the same
// builds. Folding the latter completes a week and a period of four weeks.
func newFaultStore(t *testing.T, reports int) *faultStore {
	b := &faultStore{schema: schema(t), unrecorded: newReports(300, 18)}
	b.keptToken, _ = access.NewToken("kept", access.Read, time.Now())
	b.otherToken, _ = access.NewToken("other", access.Read, time.Now())
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	releases := []catalog.Release{{Tag: "v1.0.0"}}
	for i := range 30 {
		releases = append(releases, catalog.Release{Tag: fmt.Sprintf("v3.%d.0", i)})
	}
	if _, err := putReleases(context.Background(), s, "opa", releases); err != nil {
		t.Fatal(err)
	}
	if err := s.AddToken(context.Background(), b.keptToken); err != nil {
		t.Fatal(err)
	}
	first, second := newReports(reports, 6-28*24), newReports(reports, 12)
	for i := range reports / 2 {
		second[i].ID = first[i].ID
	}
	backfill(t, s, first)
	fold(t, s)
	backfill(t, s, second)
	s.Close()
	shrinkPages(t, path)
	var err error
	if b.file, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return b
}

// shrinkPages spreads a store over many small pages and makes the page cache small, so that
// SQLite reads and writes pages in the middle of statements.
func shrinkPages(t *testing.T, path string) {
	t.Helper()
	d := raw(t, path)
	defer d.Close()
	if _, err := d.Exec("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM; PRAGMA default_cache_size = 10"); err != nil {
		t.Fatal(err)
	}
}

func backfill(t *testing.T, s *db.Store, reports []db.Recorded) {
	t.Helper()
	if _, err := s.Backfill(context.Background(), "opa", slices.Values(reports), slices.Values([]db.Checked(nil))); err != nil {
		t.Fatal(err)
	}
}

// newReports returns n reports of up to 150 builds, beginning the given number of hours after
// the start of yesterday. For so many builds, one statement writes the rollups and the next
// one the sketches.
func newReports(n, hour int) (all []db.Recorded) {
	at := (today - 1).Time().Add(time.Duration(hour) * time.Hour)
	for i := range n {
		heap := int64(i) << 20
		r := checker.Report{ID: uuid.New(), Version: fmt.Sprintf("3.%d.0", i%30), HeapUsageBytes: &heap}
		from := checker.Platform{OS: []string{"linux", "darwin", "windows", "freebsd", "openbsd"}[i/30%5], Arch: "amd64"}
		all = append(all, db.Recorded{At: at.Add(time.Duration(i) * time.Second), Platform: from, Report: r})
	}
	return all
}

// changes returns everything that is done in one transaction each, except folding.
func (b *faultStore) changes(t *testing.T) map[string]func(*db.Store) error {
	ctx := context.Background()
	all := map[string]func(*db.Store) error{
		"record reports": func(s *db.Store) error {
			_, err := s.Backfill(ctx, "opa", slices.Values(b.unrecorded), slices.Values([]db.Checked(nil)))
			return err
		},
		"count checks": func(s *db.Store) error {
			checks := []db.Checked{{Version: "1.0.0", Platform: linux, Count: 3}, {Version: "3.1.0", Platform: linux, Count: 4}}
			_, err := s.Backfill(ctx, "opa", slices.Values([]db.Recorded(nil)), slices.Values(checks))
			return err
		},
		"use a token": func(s *db.Store) error { return s.UseToken(ctx, b.keptToken.ID, b.keptToken.Created) },
	}
	for what := range auditedChanges(t, nil, b.keptToken, b.otherToken) {
		all[what] = func(s *db.Store) error { return auditedChanges(t, s, b.keptToken, b.otherToken)[what]() }
	}
	return all
}

func (b *faultStore) failAll(t *testing.T, do func(*db.Store) error) {
	for kind, f := range statementFaults {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b.failEach(t, do, f)
		})
	}
}

// failEach runs do once for each disk operation that can fail in it, or for at most maxFaults
// of them.
func (b *faultStore) failEach(t *testing.T, do func(*db.Store) error, f faultfs.Fault) {
	f.Nth = 1 << 30
	intact := b.newCopy(t, f)
	before := intact.state(t)
	if err := do(intact.Store); err != nil {
		t.Fatal(err)
	}
	n, after := intact.disk.Count(f.Kind), intact.state(t)
	intact.closeAll()
	if n == 0 || cmp.Equal(before, after) {
		t.Fatalf("got no change in %d operations, want some", n)
	}
	refused, step := 0, (n+maxFaults-1)/maxFaults
	for f.Nth = 1; f.Nth <= n && !t.Failed(); f.Nth += step {
		if b.fail(t, do, f, before, after) {
			refused++
		}
	}
	t.Logf("made every %[2]dth of %[1]d operations fail: %[3]d errors", n, step, refused)
	if refused == 0 {
		t.Error("got no error from any fault, want some")
	}
}

// fail runs do with a fault, and again without one if it returned an error.
func (b *faultStore) fail(t *testing.T, do func(*db.Store) error, f faultfs.Fault, before, after state) (refused bool) {
	s := b.newCopy(t, f)
	defer s.closeAll()
	firstErr := do(s.Store)
	s.disk.ClearFault()
	if firstErr != nil {
		got := s.state(t)
		if diff := cmp.Diff(before, got); diff != "" && !cmp.Equal(after, got) {
			t.Errorf("operation %d: the change was partly applied after error %v (-before +got):\n%s", f.Nth, firstErr, diff)
		}
		if err := do(s.Store); err != nil {
			t.Errorf("operation %d: retry after error %v: %v", f.Nth, firstErr, err)
		}
	}
	if diff := cmp.Diff(after, s.state(t)); diff != "" {
		t.Errorf("operation %d: change after error %v (-want +got):\n%s", f.Nth, firstErr, diff)
	}
	return firstErr != nil
}

// storeCopy is a copy of a store on its own disk.
type storeCopy struct {
	*db.Store
	disk *faultfs.Disk
}

func (b *faultStore) newCopy(t *testing.T, f faultfs.Fault) *storeCopy {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, lifecycleFile)
	if err := os.WriteFile(path, b.file, 0o600); err != nil {
		t.Fatal(err)
	}
	disk, err := faultfs.Watch(folder)
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.Open(context.Background(), path, b.schema)
	if err != nil {
		t.Fatal(err)
	}
	disk.Inject(f)
	return &storeCopy{s, disk}
}

func (b *storeCopy) closeAll() {
	b.Close()
	b.disk.Close()
}

// state is the content of each table.
type state map[string][]string

// state returns the content of the store without the times of changes.
func (b *storeCopy) state(t *testing.T) state {
	t.Helper()
	d := raw(t, b.Name())
	defer d.Close()
	if _, err := d.Exec("UPDATE audit SET at = 0"); err != nil {
		t.Fatal(err)
	}
	return dumpTables(t, b.Name(), db.Tables(schema(t)))
}
