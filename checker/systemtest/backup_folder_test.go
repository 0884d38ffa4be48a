package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/db/backup"
)

// newBackup waits for a new backup in the folder and returns its name.
func newBackup(t *testing.T, folder string, before []string) (name string) {
	t.Helper()
	waitFor(t, "a new backup", func() bool {
		for _, n := range filesIn(t, folder) {
			if strings.HasSuffix(n, ".db") && !slices.Contains(before, n) {
				name = n
			}
		}
		return name != ""
	})
	return name
}

func filesIn(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// renameToAge renames a backup as if it was made a number of days ago.
func renameToAge(t *testing.T, folder, name string, days int) (older string) {
	t.Helper()
	end := strings.LastIndex(name, "-") + 1
	older = name[:end] + time.Now().UTC().AddDate(0, 0, -days).Format("20060102T150405Z") + ".db"
	if err := os.Rename(filepath.Join(folder, name), filepath.Join(folder, older)); err != nil {
		t.Fatal(err)
	}
	return older
}

// serveOnce runs a server that keeps one backup, and stops it when the backup is made.
func serveOnce(t *testing.T, store, folder string) (backupFile, log string) {
	t.Helper()
	before := filesIn(t, folder)
	s := serve(t, store, "--backup-dir", folder, "--backup-keep", "1")
	backupFile = newBackup(t, folder, before)
	waitFor(t, "the backup in the log", func() bool { return s.errs.count("backup made") > 0 })
	s.stop(t)
	return backupFile, s.errs.String()
}

// TestBackupsBelongToAStore checks that a server removes only backups of its own
// store, if two stores share a folder, and after a store was lost and created again.
func TestBackupsBelongToAStore(t *testing.T) {
	folder := t.TempDir()
	store, other := filepath.Join(t.TempDir(), "one.db"), filepath.Join(t.TempDir(), "other.db")
	first, _ := serveOnce(t, store, folder)
	second, _ := serveOnce(t, other, folder)
	renameToAge(t, folder, first, 3)
	second = renameToAge(t, folder, second, 4)
	third, _ := serveOnce(t, store, folder)
	if got, want := filesIn(t, folder), []string{third, second}; len(got) != 2 || !slices.Contains(got, third) || !slices.Contains(got, second) {
		t.Fatalf("got files %v, want %v", got, want)
	}

	for _, suffix := range []string{"", "-wal", "-shm", "-lock"} {
		os.Remove(store + suffix)
	}
	third = renameToAge(t, folder, third, 2)
	out, status := relcheckStatus(t, "doctor", "--db", store, "--backup-dir", folder)
	if status != 1 || !strings.Contains(out, third) {
		t.Errorf("doctor without the store: got exit status %d, want 1 and the newest backup %s named\n%s", status, third, out)
	}
	lost := []string{second, third}
	var own string
	for days := range 3 {
		var log string
		own, log = serveOnce(t, store, folder)
		if !strings.Contains(log, "backups of other stores") || !strings.Contains(log, third) {
			t.Errorf("got a log without %s:\n%s", third, log)
		}
		out = relcheckOutput(t, "doctor", "--db", store, "--backup-dir", folder)
		if !strings.Contains(out, "2 in "+folder+" belong to other stores or an older relcheck, the newest is "+third) {
			t.Errorf("doctor: got no backups of other stores, want 2, the newest %s:\n%s", third, out)
		}
		if got := filesIn(t, folder); len(got) != 3 || !slices.Contains(got, lost[0]) || !slices.Contains(got, lost[1]) {
			t.Fatalf("got files %v, want %v and one more", got, lost)
		}
		own = renameToAge(t, folder, own, 10-days)
	}

	restored := filepath.Join(t.TempDir(), "restored.db")
	relcheck(t, "restore", filepath.Join(folder, third), "--db", restored)
	last, _ := serveOnce(t, restored, folder)
	if got := filesIn(t, folder); len(got) != 3 || !slices.Contains(got, second) || !slices.Contains(got, own) || !slices.Contains(got, last) {
		t.Errorf("got files %v, want %v", got, []string{second, own, last})
	}
}

// TestRestoreKilled kills restores. The next restore or server must remove the
// incomplete file.
func TestRestoreKilled(t *testing.T) {
	backupFile := filepath.Join(t.TempDir(), "backup.db")
	relcheck(t, "backup", backupFile, "--db", newFilledStore(t, *backedUp))
	incomplete := 0
	for round := range 6 {
		dir := t.TempDir()
		store := filepath.Join(dir, "relcheck.db")
		cmd := exec.Command(os.Args[0], "restore", backupFile, "--db", store)
		cmd.Env = environment("relcheck")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		begun := func() bool {
			files, err := filepath.Glob(store + ".partial-*[0-9]")
			return len(files) > 0 || err != nil
		}
		for deadline := time.Now().Add(20 * time.Second); !begun() && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		cmd.Process.Kill()
		cmd.Wait()
		leftovers, err := backup.Leftovers(store)
		if err != nil {
			t.Fatal(err)
		}
		if len(leftovers) == 0 {
			continue
		}
		incomplete++
		output := ""
		if round%2 == 0 {
			output = relcheckOutput(t, "restore", backupFile, "--db", store)
		} else {
			if out, _ := relcheckStatus(t, "doctor", "--db", store); !strings.Contains(out, leftovers[0]) {
				t.Errorf("doctor: got no mention of %v:\n%s", leftovers, out)
			}
			s := serve(t, store)
			s.stop(t)
			output = s.errs.String()
		}
		if !strings.Contains(output, leftovers[0]) {
			t.Errorf("got no mention of the removed %v:\n%s", leftovers, output)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "*.partial-*")); len(files) > 0 {
			t.Errorf("got leftover files %v, want none", files)
		}
	}
	if incomplete == 0 {
		t.Error("got no incomplete restore, want some: none was killed while it was written")
	}
}
