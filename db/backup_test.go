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

// A store that is restored from a backup, to either engine, equals the original and records
// reports.
func testBackupAndRestore(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	fillStore(t, s)
	want := dump(t, name)
	backupFile := filepath.Join(t.TempDir(), "backup.db")
	rows, err := backup.Create(ctx, s, backupFile, schema(t), noProgress)
	if err != nil || rows["report"] != 2 || rows["product"] != 3 {
		t.Fatalf("got rows %v (error %v), want 2 reports and 3 products", rows, err)
	}
	info, err := os.Stat(backupFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got backup file %v (error %v), want permissions 0600", info, err)
	}
	bytes := content(t, backupFile)
	for _, to := range []string{filepath.Join(t.TempDir(), "b.db"), pgtest.Database(t)} {
		if _, err := backup.Restore(ctx, backupFile, to, schema(t), noProgress); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, dump(t, to)); diff != "" {
			t.Errorf("restored to %s (-want +got):\n%s", to, diff)
		}
		w := writer(t, open(t, to))
		if _, err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
			t.Errorf("record in the restored store: %v", err)
		}
		w.Close()
		if _, err := backup.Restore(ctx, backupFile, to, schema(t), noProgress); err == nil || !strings.Contains(err.Error(), "already exists") {
			t.Errorf("restore over a store: got error %v, want \"already exists\"", err)
		}
	}
	if content(t, backupFile) != bytes {
		t.Error("Restore changed the backup file")
	}
	if files, _ := filepath.Glob(backupFile + "*"); len(files) != 1 {
		t.Errorf("got files %v after restoring, want only the backup", files)
	}
}

// newLargeStore returns a store that takes several backup steps, with 6,002 reports.
func newLargeStore(t *testing.T) (path string, s *db.Store) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a.db")
	s = open(t, path)
	fillStore(t, s)
	insertReports(t, path, 6_000)
	execAll(t, raw(t, path), "PRAGMA wal_checkpoint(TRUNCATE)") // move all pages into the database file
	return path, s
}

// Reports that are recorded between the steps of a backup are not in it, and do not restart
// it.
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
			t.Errorf("step %d: progress went from %d to %d of %d pages", steps, last, done, total)
			cancel()
		}
		last = done
		if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
			t.Error(err)
		}
	})
	if err != nil || rows["report"] != 6_002 || steps < 3 {
		t.Errorf("got rows %v in %d steps (error %v), want 6,002 reports in at least 3 steps", rows, steps, err)
	}
}

// A backup is aborted if the WAL grows too much while it runs. A backup that is slower than
// the writers would let it grow without limit.
func TestBackupWALLimit(t *testing.T) {
	defer db.SetMaxGrowth(db.SetMaxGrowth(0))
	_, s := newLargeStore(t)
	w := writer(t, s)
	defer w.Close()
	target := filepath.Join(t.TempDir(), "backup.db")
	_, err := backup.Create(context.Background(), s, target, schema(t), func(int64, int64) {
		for range 100 {
			if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
				t.Error(err)
			}
		}
	})
	if err == nil || !strings.Contains(err.Error(), "-wal has grown") {
		t.Errorf("got error %v, want \"-wal has grown\"", err)
	}
}

// A backup file contains no bytes of a removed report, even while the files of the store
// still do.
func TestBackupWithoutRemovedReports(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	now := time.Now()
	ids := recordDaily(t, s, now.AddDate(0, 0, -50), 30)
	kept := recordDaily(t, s, now, 0)
	fold(t, s)
	reader, err := raw(t, path).Begin() // keeps SQLite from overwriting removed reports
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback()
	var n int
	if err := reader.QueryRow("SELECT count(*) FROM report").Scan(&n); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	s.SweepAt(ctx, db.Retention{Reports: 24 * time.Hour}, now) // returns an error about the reader
	target := filepath.Join(t.TempDir(), "backup.db")
	if _, err := backup.Create(ctx, s, target, schema(t), noProgress); err != nil {
		t.Fatal(err)
	}
	store, backupFile := readStoreFiles(t, path), content(t, target)
	if !strings.Contains(backupFile, string(kept[0][:])) || !strings.Contains(store, string(ids[0][:])) {
		t.Error("the files lack the instance IDs that they must contain: the test looks in the wrong place")
	}
	for _, id := range ids {
		if strings.Contains(backupFile, string(id[:])) {
			t.Fatalf("the backup contains the removed instance ID %s", id)
		}
	}
}

// readStoreFiles returns the bytes of a database file and its WAL. Another process reads
// them, because this process would lose its locks on closing the file.
func readStoreFiles(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("cat", path, path+"-wal").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// A backup that fails overwrites no file and leaves none behind.
func TestBackupErrors(t *testing.T) {
	ctx := context.Background()
	path, s := newLargeStore(t)
	stopped, stop := context.WithCancel(ctx)
	for name, c := range map[string]struct {
		ctx      context.Context
		prepare  func(t *testing.T, target string)
		progress func(target string)
		want     string
	}{
		"file":                   {ctx, func(t *testing.T, target string) { write(t, target, "mine") }, nil, "already exists"},
		"empty file":             {ctx, func(t *testing.T, target string) { write(t, target, "") }, nil, "already exists"},
		"symbolic link":          {ctx, func(t *testing.T, target string) { os.Symlink("nowhere", target) }, nil, "already exists"},
		"folder":                 {ctx, mkdir, nil, "already exists"},
		"stale WAL":              {ctx, func(t *testing.T, target string) { write(t, target+"-wal", "stale") }, nil, "already exists"},
		"file created meanwhile": {ctx, nil, func(target string) { os.WriteFile(target, []byte("mine"), 0o600) }, "already exists"},
		"interrupted":            {stopped, nil, func(string) { stop() }, "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			target := filepath.Join(dir, "backup.db")
			if c.prepare != nil {
				c.prepare(t, target)
			}
			_, err := backup.Create(c.ctx, s, target, schema(t), func(int64, int64) {
				if c.progress != nil {
					c.progress(target)
				}
			})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
			if left, err := backup.Leftovers(target); len(left) > 0 || err != nil {
				t.Errorf("got leftovers %v (error %v), want none", left, err)
			}
			if b, err := os.ReadFile(target); err == nil && len(b) > 0 && string(b) != "mine" {
				t.Errorf("got %d bytes in the target, want it unchanged", len(b))
			}
		})
	}
	if _, err := backup.Create(ctx, s, filepath.Join(t.TempDir(), "none", "b.db"), schema(t), noProgress); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("missing folder: got error %v, want \"does not exist\"", err)
	}
	if _, err := backup.Create(ctx, s, path, schema(t), noProgress); err == nil {
		t.Error("backup over the store itself: got no error")
	}
}

// Backing up a damaged store fails and leaves no file.
func TestBackupOfDamagedStore(t *testing.T) {
	path, s := newLargeStore(t)
	s.Close()
	damagePage(t, path, 50)
	s = open(t, path)
	target := filepath.Join(t.TempDir(), "backup.db")
	if _, err := backup.Create(context.Background(), s, target, schema(t), noProgress); !errors.Is(err, db.ErrDamaged) {
		t.Errorf("got error %v, want ErrDamaged", err)
	}
	if files, _ := filepath.Glob(target + "*"); len(files) > 0 {
		t.Errorf("got files %v, want none", files)
	}
}

// damagePage overwrites the header of a page. No process may have the file open.
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
		prepare func(t *testing.T, target string)
		want    string
	}{
		"missing":   {bad + "x", nil, "file does not exist, or it is empty"},
		"damaged":   {bad, nil, "damaged"},
		"truncated": {short, nil, "damaged"},
		"foreign":   {foreign, nil, "not a relcheck database"},
		"stale WAL": {backupFile, func(t *testing.T, target string) { write(t, target+"-wal", "stale") }, "move it away"},
		"store":     {backupFile, func(t *testing.T, target string) { open(t, target).Close() }, "move it away"},
		"running server": {backupFile, func(t *testing.T, target string) {
			w := writer(t, open(t, target))
			t.Cleanup(func() { w.Close() })
			for _, suffix := range []string{"", "-wal", "-shm"} { // the server is still running
				os.Remove(target + suffix)
			}
		}, fmt.Sprintf("process %d", os.Getpid())},
	} {
		t.Run(name, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "a.db")
			if c.prepare != nil {
				c.prepare(t, target)
			}
			before, _ := os.Stat(target)
			_, err := backup.Restore(ctx, c.from, target, schema(t), noProgress)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
			after, _ := os.Stat(target)
			if (before == nil) != (after == nil) || before != nil && !os.SameFile(before, after) {
				t.Errorf("got target %v, want it unchanged: %v", after, before)
			}
		})
	}
	empty := filepath.Join(t.TempDir(), "a.db")
	write(t, empty, "")
	if _, err := backup.Restore(ctx, backupFile, empty, schema(t), noProgress); err != nil {
		t.Errorf("restore to an empty file: %v", err)
	}
	live := filepath.Join(t.TempDir(), "b.db") // a store in use is a valid source, too
	if _, err := backup.Restore(ctx, path, live, schema(t), noProgress); err != nil {
		t.Errorf("restore from a store in use: %v", err)
	}
}
