package db_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/db"
	"relcheck/db/backup"
)

// mount mounts something until the test ends.
func mount(t testing.TB, from, to, kind string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(from, to, kind, flags, data); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("missing: permission to mount %s: %v", to, err)
		}
		t.Skipf("missing: permission to mount %s: %v", to, err)
	}
	t.Cleanup(func() { syscall.Unmount(to, syscall.MNT_DETACH) })
}

// bindMount mounts a file or folder over another one.
func bindMount(t testing.TB, from, to string) {
	t.Helper()
	mount(t, from, to, "", syscall.MS_BIND, "")
}

// aliases create another name of a store.
var aliases = map[string]struct {
	make    func(t testing.TB, path string) string
	refused string // part of the error, or "" if the name is allowed
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
	"original name of a hard link": {func(t testing.TB, path string) string {
		must(t, os.Link(path, filepath.Join(t.TempDir(), "a.db")))
		return path
	}, ""},
}

// An open store cannot be opened by a second name if its WAL would have another name, too.
// This also holds for reading.
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
					t.Errorf("%s: got error %v, want %q", what, err, alias.refused)
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
			if _, err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
				t.Error(err)
			}
			if alias.refused == "" {
				return
			}
			if _, err := os.Stat(other + "-wal"); err == nil {
				t.Errorf("a second WAL exists: %s", other+"-wal")
			}
			if _, err := open(t, path).Copy(ctx, other, schema(t), noProgress); err == nil {
				t.Error("copy over the store itself: got no error")
			}
		})
	}
}

// If two processes open a store by two names at the same time, exactly one succeeds.
func TestConcurrentSecondName(t *testing.T) {
	t.Parallel()
	for range 5 {
		path := filepath.Join(t.TempDir(), "a.db")
		must(t, open(t, path).Close())
		a, b := startChild(t, "record "+path), startChild(t, "record "+aliases["hard link"].make(t, path))
		if first, second := a.awaitRecording(), b.awaitRecording(); first == second {
			t.Errorf("got recording processes %v and %v, want one\n%s%s", first, second, a.stderr.String(), b.stderr.String())
		}
		a.kill()
		b.kill()
	}
}

// A store whose file is mounted without its folder cannot be opened. A backup can be restored
// from such a file.
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
			t.Errorf("%s: got error %v, want \"mount the folder, not the file\"", what, err)
		}
	}
	if _, err := backup.Restore(ctx, mountedBackup, filepath.Join(t.TempDir(), "a.db"), schema(t), noProgress); err != nil {
		t.Error(err)
	}
}

// While a process has a store open, no other process opens it with a different WAL or shared
// memory.
func TestWALReplaced(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, take := range map[string]func(path string) error{
		"WAL removed":            func(path string) error { return os.Remove(path + "-wal") },
		"WAL replaced":           func(path string) error { return replaceFile(path + "-wal") },
		"shared memory removed":  func(path string) error { return os.Remove(path + "-shm") },
		"shared memory replaced": func(path string) error { return replaceFile(path + "-shm") },
		"both removed":           func(path string) error { return errors.Join(os.Remove(path+"-wal"), os.Remove(path+"-shm")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.db")
			w := writer(t, open(t, path))
			_, err := w.Record(ctx, "opa", linux, report("1.0.0"))
			must(t, err)
			must(t, take(path))
			if _, err := db.OpenExisting(ctx, path); err == nil || !strings.Contains(err.Error(), "was removed or replaced") {
				t.Errorf("open: got error %v, want \"was removed or replaced\"", err)
			}
			if _, err := db.OpenUnchanged(ctx, path); err == nil || !strings.Contains(err.Error(), "was removed or replaced") {
				t.Errorf("open unchanged: got error %v, want \"was removed or replaced\"", err)
			}
			w.Close()
		})
	}
}

// A killed process leaves its WAL beside the name that it used for the store. Other processes
// find the WAL there, or do not open the store.
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
			if err == nil || err2 == nil || name != "mount of the file" && !strings.Contains(err.Error(), "open it once under that name") {
				t.Errorf("got errors %v and %v, want two, the first with \"open it once under that name\"", err, err2)
			}
			if n := count(t, path); n < acknowledged {
				t.Errorf("got %d reports, want at least %d", n, acknowledged)
			}
		})
	}
	t.Run("folder removed", func(t *testing.T) {
		t.Parallel()
		path, _ := killed(t)
		other := aliases["hard link"].make(t, path)
		must(t, os.RemoveAll(filepath.Dir(path)))
		if _, err := db.OpenExisting(ctx, other); err == nil || !strings.Contains(err.Error(), "create an empty file") {
			t.Errorf("got error %v, want \"create an empty file\"", err)
		}
		if found := examine(t, other, longRetention); !strings.Contains(found["store"], path) {
			t.Errorf("doctor: got %v, want it to contain %s", found, path)
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
			t.Errorf("got %d reports, want at least %d", n, acknowledged)
		}
	})
	t.Run("WAL removed", func(t *testing.T) {
		t.Parallel()
		path, _ := killed(t)
		must(t, os.Remove(path+"-wal"))
		open(t, path).Close() // leaves the report of the loss to the next server
		if found := examine(t, path, longRetention); !strings.Contains(found["log"], "2 log: the last process") {
			t.Errorf("doctor: got %v, want an error about the last process", found)
		}
		if _, err := backup.Restore(ctx, path, path+".restored", schema(t), noProgress); err == nil || !strings.Contains(err.Error(), "-wal file is missing") {
			t.Errorf("got error %v, want \"-wal file is missing\"", err)
		}
		s := open(t, path)
		w := writer(t, s)
		if s.LogLost() == nil {
			t.Error("LogLost: got nil, want an error")
		}
		must(t, errors.Join(w.Close(), s.Close()))
		if err := open(t, path).LogLost(); err != nil {
			t.Errorf("second LogLost: got error %v, want nil", err)
		}
	})
	t.Run("clean shutdown", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "a.db")
		c := startRecording(t, "record "+path)
		must(t, c.stop())
		if n := count(t, aliases["hard link"].make(t, path)); n != len(c.output())-1 {
			t.Errorf("got %d reports, want %d", n, len(c.output())-1)
		}
	})
}

// A file that has replaced the store is not opened together with the WAL of the earlier one:
// not while a process has that open, and not after it was killed. A copy of all files is.
func TestFileReplacedUnderWAL(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.db")
	c := startRecording(t, "record "+path)
	for len(c.output()) < 20 {
		time.Sleep(time.Millisecond)
	}
	restored := path + ".backup"
	s := open(t, path)
	_, err := backup.Create(ctx, s, restored, schema(t), noProgress)
	must(t, errors.Join(err, s.Close()))
	s = open(t, restored)
	before := len(recorded(t, s, "opa"))
	must(t, s.Close())
	must(t, errors.Join(os.Rename(path, path+".earlier"), os.Rename(restored, path)))
	refused := func() {
		t.Helper()
		_, err := db.OpenExisting(ctx, path)
		_, err2 := db.OpenUnchanged(ctx, path)
		if err == nil || err2 == nil || !strings.Contains(err.Error(), "has replaced another one") {
			t.Errorf("got errors %v and %v, want two, the first with \"has replaced another one\"", err, err2)
		}
	}
	refused()
	c.kill()
	refused()
	acknowledged := len(c.output()) - 1

	copied := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.CommandContext(ctx, "cp", "-a", filepath.Dir(path), copied).CombinedOutput(); err != nil {
		t.Fatalf("cp -a: %v: %s", err, out)
	}
	if _, err := db.OpenExisting(ctx, filepath.Join(copied, "a.db")); err == nil || !strings.Contains(err.Error(), "has replaced another one") {
		t.Errorf("copy of the new file and the WAL: got error %v, want \"has replaced another one\"", err)
	}
	must(t, os.Rename(filepath.Join(copied, "a.db.earlier"), filepath.Join(copied, "a.db")))
	if n := len(recorded(t, open(t, filepath.Join(copied, "a.db")), "opa")); n < acknowledged {
		t.Errorf("copy of the earlier file and its WAL: got %d reports, want at least %d", n, acknowledged)
	}

	must(t, errors.Join(os.Rename(path, restored), os.Rename(path+".earlier", path)))
	if n := len(recorded(t, open(t, path), "opa")); n < acknowledged {
		t.Errorf("earlier file put back: got %d reports, want at least %d", n, acknowledged)
	}
	must(t, os.Rename(restored, path+".2"))
	if n := len(recorded(t, open(t, path+".2"), "opa")); n != before {
		t.Errorf("restored file: got %d reports, want %d", n, before)
	}
}

// A store on an overlay, whose layers share no locks, is a hazard.
func TestOverlay(t *testing.T) {
	hazards := func(folder string) string {
		return strings.Join(open(t, filepath.Join(folder, "a.db")).Hazards(), "\n")
	}
	const text = "on an overlay file system"
	if strings.Contains(hazards(t.TempDir()), text) {
		return // every store of this machine is
	}
	merged := t.TempDir()
	mount(t, "overlay", merged, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", t.TempDir(), t.TempDir(), t.TempDir()))
	if got := hazards(merged); !strings.Contains(got, text) {
		t.Errorf("got hazards %q, want %q", got, text)
	}
}

func replaceFile(path string) error {
	text, err := os.ReadFile(path)
	return errors.Join(err, os.WriteFile(path+".other", text, 0o600), os.Rename(path+".other", path))
}

// The catalog cannot be changed after its file has been replaced.
func TestChangeAfterFileReplaced(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	w := writer(t, s)
	defer w.Close()
	must(t, s.AddToken(ctx, newToken()))
	must(t, replaceFile(path))
	if err := s.AddToken(ctx, newToken()); err == nil || !strings.Contains(err.Error(), "no longer the file that was opened") {
		t.Errorf("got error %v, want \"no longer the file that was opened\"", err)
	}
}

func newToken() access.Token {
	token, _ := access.NewToken("added", access.Read, time.Now())
	return token
}

// A second server cannot record while the first one runs, even if its lock file was removed.
func TestLockFileRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	c := startRecording(t, "record "+path)
	must(t, os.Remove(path+"-lock"))
	if _, err := open(t, path).NewWriter(slog.New(slog.DiscardHandler)); !errors.Is(err, db.ErrInUse) {
		t.Errorf("got error %v, want ErrInUse", err)
	}
	c.kill()
}
