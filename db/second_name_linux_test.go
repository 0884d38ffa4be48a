package db_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/db"
	"relcheck/db/backup"
)

// bindMount mounts a file or a folder on another one until the test ends.
func bindMount(t testing.TB, from, to string) {
	t.Helper()
	if err := syscall.Mount(from, to, "", syscall.MS_BIND, ""); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("missing: the right to mount a file: %v", err)
		}
		t.Skipf("missing: the right to mount a file: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(to, syscall.MNT_DETACH) })
}

// aliases make another name of a store.
var aliases = map[string]struct {
	make    func(t testing.TB, path string) string
	refused string // what the error says, or empty
}{
	"hard link": {func(t testing.TB, path string) string {
		name := filepath.Join(t.TempDir(), "a.db")
		must(t, os.Link(path, name))
		return name
	}, "mount the folder, not the file"},
	"hard link beside it": {func(t testing.TB, path string) string {
		name := filepath.Join(filepath.Dir(path), "b.db")
		must(t, os.Link(path, name))
		return name
	}, "mount the folder, not the file"},
	"mount of the file": {func(t testing.TB, path string) string {
		name := filepath.Join(t.TempDir(), "a.db")
		write(t.(*testing.T), name, "")
		bindMount(t, path, name)
		return name
	}, "mount the folder, not the file"},
	"mount of the folder": {func(t testing.TB, path string) string {
		folder := t.TempDir()
		bindMount(t, filepath.Dir(path), folder)
		return filepath.Join(folder, filepath.Base(path))
	}, ""},
	"symbolic link to the file": {func(t testing.TB, path string) string {
		name := filepath.Join(t.TempDir(), "b.db")
		must(t, os.Symlink(path, name))
		return name
	}, ""},
	"symbolic link to the folder": {func(t testing.TB, path string) string {
		name := filepath.Join(t.TempDir(), "folder")
		must(t, os.Symlink(filepath.Dir(path), name))
		return filepath.Join(name, filepath.Base(path))
	}, ""},
	"its own, beside a hard link": {func(t testing.TB, path string) string {
		must(t, os.Link(path, filepath.Join(t.TempDir(), "a.db")))
		return path
	}, ""},
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A store that is open is opened by no name beside which there would be another log,
// for reading neither.
func TestSecondName(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, alias := range aliases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.db")
			w := writer(t, open(t, path))
			defer w.Close()
			other := alias.make(t, path)
			check := func(what string, err error) {
				t.Helper()
				if alias.refused == "" && err != nil || alias.refused != "" && (err == nil || !strings.Contains(err.Error(), alias.refused)) {
					t.Errorf("%s: got error %v, want %q in it", what, err, alias.refused)
				}
			}
			s, err := db.OpenExisting(ctx, other)
			if check("open", err); err == nil {
				s.Close()
			}
			s, err = db.OpenUnchanged(ctx, other)
			if check("open unchanged", err); err == nil {
				s.Close()
			}
			_, err = backup.Restore(ctx, other, filepath.Join(t.TempDir(), "restored.db"), schema(t), noProgress)
			check("restore", err)
			if err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
				t.Error(err)
			}
			if alias.refused == "" {
				return
			}
			if _, err := os.Stat(other + "-wal"); err == nil {
				t.Error("there is a second log")
			}
			if _, err := open(t, path).Copy(ctx, other, schema(t), noProgress); err == nil {
				t.Error("copied over itself")
			}
		})
	}
}

// Of two processes that open a store at the same time by two names, one does.
func TestConcurrentSecondName(t *testing.T) {
	t.Parallel()
	for range 5 {
		path := filepath.Join(t.TempDir(), "a.db")
		must(t, open(t, path).Close())
		a, b := startChild(t, "record "+path), startChild(t, "record "+aliases["hard link"].make(t, path))
		if one, other := a.awaitRecording(), b.awaitRecording(); one == other {
			t.Errorf("the first begins: %v, the second: %v\n%s%s", one, other, a.stderr.String(), b.stderr.String())
		}
		a.kill()
		b.kill()
	}
}

// A file that is mounted alone is not opened, whoever else has it open; a backup is read.
func TestMountedFile(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	backupFile := filepath.Join(t.TempDir(), "backup.db")
	_, err := backup.Create(ctx, s, backupFile, schema(t), noProgress)
	must(t, errors.Join(err, s.Close()))
	mounted, mountedBackup := aliases["mount of the file"].make(t, path), aliases["mount of the file"].make(t, backupFile)
	for what, open := range map[string]func(string) (*db.Store, error){
		"open":           func(name string) (*db.Store, error) { return db.Open(ctx, name, schema(t)) },
		"open unchanged": func(name string) (*db.Store, error) { return db.OpenUnchanged(ctx, name) },
	} {
		if _, err := open(mounted); err == nil || !strings.Contains(err.Error(), "mount the folder, not the file") {
			t.Errorf("%s: got error %v", what, err)
		}
	}
	if _, err := backup.Restore(ctx, mountedBackup, filepath.Join(t.TempDir(), "a.db"), schema(t), noProgress); err != nil {
		t.Error(err)
	}
}

// As long as a store is open, it is not opened with another log or other shared memory
// than that of those who have it open.
func TestWALReplaced(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, take := range map[string]func(path string) error{
		"log removed":            func(path string) error { return os.Remove(path + "-wal") },
		"log replaced":           func(path string) error { return replaceFile(path + "-wal") },
		"shared memory removed":  func(path string) error { return os.Remove(path + "-shm") },
		"shared memory replaced": func(path string) error { return replaceFile(path + "-shm") },
		"both removed":           func(path string) error { return errors.Join(os.Remove(path+"-wal"), os.Remove(path+"-shm")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.db")
			w := writer(t, open(t, path))
			must(t, w.Record(ctx, "opa", linux, report("1.0.0")))
			must(t, take(path))
			if _, err := db.OpenExisting(ctx, path); err == nil || !strings.Contains(err.Error(), "was removed or replaced") {
				t.Errorf("open: got error %v", err)
			}
			if _, err := db.OpenUnchanged(ctx, path); err == nil || !strings.Contains(err.Error(), "was removed or replaced") {
				t.Errorf("open unchanged: got error %v", err)
			}
			w.Close()
		})
	}
}

// The log of a process that was killed is not left behind under the name that the
// process used: it is found by that name, or nothing opens.
func TestWALOfKilledProcess(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	killed := func(t *testing.T) (path string, acknowledged int) {
		path = filepath.Join(t.TempDir(), "a.db")
		c := startRecording(t, "record "+path)
		c.kill()
		return path, len(c.output()) - 1
	}
	count := func(t *testing.T, path string) int { return len(recorded(t, open(t, path), "opa")) }
	for _, name := range []string{"hard link", "hard link beside it", "mount of the file"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, acknowledged := killed(t)
			other := aliases[name].make(t, path)
			_, err := db.OpenExisting(ctx, other)
			_, err2 := db.OpenUnchanged(ctx, other)
			if err == nil || err2 == nil || name != "mount of the file" && !strings.Contains(err.Error(), "open it once by that name") {
				t.Errorf("got errors %v, %v", err, err2)
			}
			if n := count(t, path); n < acknowledged {
				t.Errorf("%d reports of %d are there", n, acknowledged)
			}
		})
	}
	t.Run("folder gone", func(t *testing.T) {
		t.Parallel()
		path, _ := killed(t)
		other := aliases["hard link"].make(t, path)
		must(t, os.RemoveAll(filepath.Dir(path)))
		if _, err := db.OpenExisting(ctx, other); err == nil || !strings.Contains(err.Error(), "create an empty file") {
			t.Errorf("got error %v", err)
		}
		if found := examine(t, other, longRetention); !strings.Contains(found["store"], path) {
			t.Errorf("the doctor says %v", found)
		}
		write(t, other+"-wal", "")
		open(t, other).Close()
		open(t, other)
	})
	t.Run("folder moved", func(t *testing.T) {
		t.Parallel()
		path, acknowledged := killed(t)
		folder := filepath.Join(t.TempDir(), "moved")
		must(t, os.Rename(filepath.Dir(path), folder))
		t.Cleanup(func() { os.Mkdir(filepath.Dir(path), 0o700) })
		if n := count(t, filepath.Join(folder, "a.db")); n < acknowledged {
			t.Errorf("%d reports of %d are there", n, acknowledged)
		}
	})
	t.Run("removed", func(t *testing.T) {
		t.Parallel()
		path, _ := killed(t)
		must(t, os.Remove(path+"-wal"))
		open(t, path).Close() // a command leaves it to the next server to report it
		if found := examine(t, path, longRetention); !strings.Contains(found["log"], "2 log: the last process") {
			t.Errorf("the doctor says %v", found)
		}
		if _, err := backup.Restore(ctx, path, path+".restored", schema(t), noProgress); err == nil || !strings.Contains(err.Error(), "-wal file is missing") {
			t.Errorf("got error %v", err)
		}
		s := open(t, path)
		w := writer(t, s)
		if s.LogLost() == nil {
			t.Error("the server does not know")
		}
		must(t, errors.Join(w.Close(), s.Close()))
		if err := open(t, path).LogLost(); err != nil {
			t.Errorf("said again: %v", err)
		}
	})
	t.Run("closed in good order", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "a.db")
		c := startRecording(t, "record "+path)
		must(t, c.stop())
		if n := count(t, aliases["hard link"].make(t, path)); n != len(c.output())-1 {
			t.Errorf("%d reports of %d are there", n, len(c.output())-1)
		}
	})
}

func replaceFile(path string) error {
	text, err := os.ReadFile(path)
	return errors.Join(err, os.WriteFile(path+".other", text, 0o600), os.Rename(path+".other", path))
}

// Changes of the catalog are not made in a file that is no longer there.
func TestChangeAfterFileReplaced(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	w := writer(t, s)
	defer w.Close()
	must(t, s.AddToken(ctx, newToken()))
	must(t, replaceFile(path))
	if err := s.AddToken(ctx, newToken()); err == nil || !strings.Contains(err.Error(), "no longer the file that was opened") {
		t.Errorf("got error %v", err)
	}
}

func newToken() access.Token {
	token, _ := access.NewToken("added", access.Read, time.Now())
	return token
}

// A second server does not record if only the first one's lock file was removed.
func TestLockFileRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	c := startRecording(t, "record "+path)
	must(t, os.Remove(path+"-lock"))
	if _, err := open(t, path).NewWriter(slog.New(slog.DiscardHandler)); !errors.Is(err, db.ErrInUse) {
		t.Errorf("got error %v", err)
	}
	c.kill()
}
