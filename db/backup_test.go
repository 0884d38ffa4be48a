package db_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/db"
	"relcheck/db/backup"
	"relcheck/db/pgtest"
)

func noProgress(int64, int64) {}

// A backup, and what is restored from it, on the same engine or the other one, is
// the same store.
func testBackupAndRestore(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	fillStore(t, s)
	want := dump(t, name)
	backupFile := filepath.Join(t.TempDir(), "backup.db")
	rows, err := backup.Create(ctx, s, backupFile, schema(t), noProgress)
	if err != nil || rows["report"] != 2 || rows["product"] != 3 {
		t.Fatalf("backed up %v, %v", rows, err)
	}
	info, err := os.Stat(backupFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v", info, err)
	}
	bytes := content(t, backupFile)
	for _, to := range []string{filepath.Join(t.TempDir(), "b.db"), pgtest.Database(t)} {
		if _, err := backup.Restore(ctx, backupFile, to, schema(t), noProgress); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, dump(t, to)); diff != "" {
			t.Errorf("%s is not equal:\n%s", to, diff)
		}
		w := writer(t, open(t, to))
		if err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
			t.Errorf("what was restored does not record: %v", err)
		}
		w.Close()
		if _, err := backup.Restore(ctx, backupFile, to, schema(t), noProgress); err == nil || !strings.Contains(err.Error(), "already exists") {
			t.Errorf("restored over a store: %v", err)
		}
	}
	if content(t, backupFile) != bytes {
		t.Error("restoring has changed the backup")
	}
	if files, _ := filepath.Glob(backupFile + "*"); len(files) != 1 {
		t.Errorf("restoring leaves %v", files)
	}
}

// newLargeStore makes a store that a backup takes several steps for.
func newLargeStore(t *testing.T) (path string, s *db.Store) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a.db")
	s = open(t, path)
	fillStore(t, s)
	insertReports(t, path, 6_000)
	execAll(t, raw(t, path), "PRAGMA wal_checkpoint(TRUNCATE)") // all into the file
	return path, s
}

// Whoever writes between the steps of a backup does not make it begin anew, and is
// not in it.
func TestBackupIsSnapshot(t *testing.T) {
	_, s := newLargeStore(t)
	w := writer(t, s)
	defer w.Close()
	backupFile := filepath.Join(t.TempDir(), "backup.db")
	steps, last := 0, int64(0)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	rows, err := backup.Create(ctx, s, backupFile, schema(t), func(done, total int64) {
		if steps++; done < last || steps > 100 {
			t.Errorf("step %d: from %d to %d of %d pages", steps, last, done, total)
			cancel()
		}
		last = done
		if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
			t.Error(err)
		}
	})
	if err != nil || rows["report"] != 6_002 || steps < 3 {
		t.Errorf("backed up %v in %d steps, %v", rows, steps, err)
	}
}

// A backup that is slower than what others write is given up: the log would grow
// and grow.
func TestBackupWALLimit(t *testing.T) {
	defer db.SetMaxGrowth(db.SetMaxGrowth(0))
	_, s := newLargeStore(t)
	w := writer(t, s)
	defer w.Close()
	place := filepath.Join(t.TempDir(), "backup.db")
	_, err := backup.Create(context.Background(), s, place, schema(t), func(int64, int64) {
		for range 100 {
			if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
				t.Error(err)
			}
		}
	})
	if err == nil || !strings.Contains(err.Error(), "-wal has grown") {
		t.Errorf("got error %v", err)
	}
}

// A report that was removed is not in the bytes of a backup, even while it is still
// in those of the store.
func TestBackupWithoutRemovedReports(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	now := time.Now()
	ids := recordDaily(t, s, now.AddDate(0, 0, -50), 30)
	kept := recordDaily(t, s, now, 0)
	fold(t, s)
	reader, err := raw(t, path).Begin() // keeps SQLite from overwriting it
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback()
	var n int
	if err := reader.QueryRow("SELECT count(*) FROM report").Scan(&n); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	s.SweepAt(ctx, db.Retention{Reports: 24 * time.Hour}, now) // says that the reader is in the way
	place := filepath.Join(t.TempDir(), "backup.db")
	if _, err := backup.Create(ctx, s, place, schema(t), noProgress); err != nil {
		t.Fatal(err)
	}
	store, backupFile := readStoreFiles(t, path), content(t, place)
	if !strings.Contains(backupFile, string(kept[0][:])) || !strings.Contains(store, string(ids[0][:])) {
		t.Error("this looks in the wrong place")
	}
	for _, id := range ids {
		if strings.Contains(backupFile, string(id[:])) {
			t.Fatal("an id that was removed is in the backup")
		}
	}
}

// readStoreFiles returns the bytes of a store's file as another process sees them: this one
// would lose its locks.
func readStoreFiles(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("cat", path, path+"-wal").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Nothing is overwritten, and nothing is left that is not whole.
func TestBackupErrors(t *testing.T) {
	ctx := context.Background()
	path, s := newLargeStore(t)
	stopped, stop := context.WithCancel(ctx)
	for name, c := range map[string]struct {
		ctx      context.Context
		prepare  func(t *testing.T, place string)
		progress func(place string)
		want     string
	}{
		"a file":        {ctx, func(t *testing.T, place string) { write(t, place, "mine") }, nil, "already exists"},
		"an empty file": {ctx, func(t *testing.T, place string) { write(t, place, "") }, nil, "already exists"},
		"a link":        {ctx, func(t *testing.T, place string) { os.Symlink("nowhere", place) }, nil, "already exists"},
		"a folder":      {ctx, mkdir, nil, "already exists"},
		"a stale log":   {ctx, func(t *testing.T, place string) { write(t, place+"-wal", "stale") }, nil, "already exists"},
		"a late file":   {ctx, nil, func(place string) { os.WriteFile(place, []byte("mine"), 0o600) }, "already exists"},
		"interrupted":   {stopped, nil, func(string) { stop() }, "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			place := filepath.Join(dir, "backup.db")
			if c.prepare != nil {
				c.prepare(t, place)
			}
			_, err := backup.Create(c.ctx, s, place, schema(t), func(int64, int64) {
				if c.progress != nil {
					c.progress(place)
				}
			})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
			if left, err := backup.Leftovers(place); len(left) > 0 || err != nil {
				t.Errorf("it leaves %v, %v", left, err)
			}
			if b, err := os.ReadFile(place); err == nil && len(b) > 0 && string(b) != "mine" {
				t.Error("something was written")
			}
		})
	}
	if _, err := backup.Create(ctx, s, filepath.Join(t.TempDir(), "none", "b.db"), schema(t), noProgress); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("into a missing folder: %v", err)
	}
	if _, err := backup.Create(ctx, s, path, schema(t), noProgress); err == nil {
		t.Error("a store was backed up over itself")
	}
}

// A store that is damaged gives no backup that looks like one.
func TestBackupOfDamagedStore(t *testing.T) {
	path, s := newLargeStore(t)
	s.Close()
	damagePage(t, path, 50)
	s = open(t, path)
	place := filepath.Join(t.TempDir(), "backup.db")
	if _, err := backup.Create(context.Background(), s, place, schema(t), noProgress); !errors.Is(err, db.ErrDamaged) {
		t.Errorf("got error %v", err)
	}
	if files, _ := filepath.Glob(place + "*"); len(files) > 0 {
		t.Errorf("there is %v", files)
	}
}

// damagePage overwrites the head of a page of a file that nobody has open.
func damagePage(t testing.TB, path string, page int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), (page-1)*4096)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestRestoreErrors(t *testing.T) {
	ctx := context.Background()
	path, s := newLargeStore(t)
	backupFile := filepath.Join(t.TempDir(), "backup.db")
	if _, err := backup.Create(ctx, s, backupFile, schema(t), noProgress); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad.db")
	write(t, bad, content(t, backupFile))
	damagePage(t, bad, 50)
	short := filepath.Join(t.TempDir(), "short.db")
	write(t, short, content(t, backupFile)[:40*4096])
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	write(t, foreign, "this is a text of some length, not a database")
	for name, c := range map[string]struct {
		from    string
		prepare func(t *testing.T, place string)
		want    string
	}{
		"missing":     {bad + "x", nil, "missing or empty"},
		"damaged":     {bad, nil, "damaged"},
		"cut short":   {short, nil, "damaged"},
		"foreign":     {foreign, nil, "not a relcheck database"},
		"a stale log": {backupFile, func(t *testing.T, place string) { write(t, place+"-wal", "stale") }, "move it away"},
		"a store":     {backupFile, func(t *testing.T, place string) { open(t, place).Close() }, "move it away"},
		"a server": {backupFile, func(t *testing.T, place string) {
			w := writer(t, open(t, place))
			t.Cleanup(func() { w.Close() })
			for _, suffix := range []string{"", "-wal", "-shm"} { // who removes them has not stopped the server
				os.Remove(place + suffix)
			}
		}, fmt.Sprintf("process %d", os.Getpid())},
	} {
		t.Run(name, func(t *testing.T) {
			place := filepath.Join(t.TempDir(), "a.db")
			if c.prepare != nil {
				c.prepare(t, place)
			}
			before, _ := os.Stat(place)
			_, err := backup.Restore(ctx, c.from, place, schema(t), noProgress)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
			after, _ := os.Stat(place)
			if (before == nil) != (after == nil) || before != nil && !os.SameFile(before, after) {
				t.Errorf("there was %v, there is %v", before, after)
			}
		})
	}
	empty := filepath.Join(t.TempDir(), "a.db")
	write(t, empty, "")
	if _, err := backup.Restore(ctx, backupFile, empty, schema(t), noProgress); err != nil {
		t.Errorf("into an empty file: %v", err)
	}
	live := filepath.Join(t.TempDir(), "b.db") // a store in use is as good as a backup
	if _, err := backup.Restore(ctx, path, live, schema(t), noProgress); err != nil {
		t.Errorf("from a store: %v", err)
	}
}
