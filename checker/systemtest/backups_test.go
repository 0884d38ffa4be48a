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
	waitFor(t, "there is a new backup", func() bool {
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

// renameToAge renames a backup to one made a number of days ago.
func renameToAge(t *testing.T, folder, name string, days int) (older string) {
	t.Helper()
	end := strings.LastIndex(name, "-") + 1
	older = name[:end] + time.Now().UTC().AddDate(0, 0, -days).Format("20060102T150405Z") + ".db"
	if err := os.Rename(filepath.Join(folder, name), filepath.Join(folder, older)); err != nil {
		t.Fatal(err)
	}
	return older
}

// serveOnce runs a server that keeps one backup until it has made it.
func serveOnce(t *testing.T, store, folder string) (backupFile, log string) {
	t.Helper()
	before := filesIn(t, folder)
	s := serve(t, store, "--backup-dir", folder, "--backup-keep", "1")
	backupFile = newBackup(t, folder, before)
	waitFor(t, "the backup is logged", func() bool { return s.errs.count("backup made") > 0 })
	s.stop(t)
	return backupFile, s.errs.String()
}

// TestBackupsBelongToAStore checks that a server removes only backups of its own
// store, if two stores share a folder, and after a store was lost and created again.
func TestBackupsBelongToAStore(t *testing.T) {
	folder := t.TempDir()
	one, other := filepath.Join(t.TempDir(), "one.db"), filepath.Join(t.TempDir(), "other.db")
	first, _ := serveOnce(t, one, folder)
	second, _ := serveOnce(t, other, folder)
	renameToAge(t, folder, first, 3)
	second = renameToAge(t, folder, second, 4)
	third, _ := serveOnce(t, one, folder)
	if got, want := filesIn(t, folder), []string{third, second}; len(got) != 2 || !slices.Contains(got, third) || !slices.Contains(got, second) {
		t.Fatalf("there are %v, want %v", got, want)
	}

	for _, suffix := range []string{"", "-wal", "-shm", "-lock"} {
		os.Remove(one + suffix)
	}
	third = renameToAge(t, folder, third, 2)
	out, status := relcheckStatus(t, "doctor", "--db", one, "--backup-dir", folder)
	if status != 1 || !strings.Contains(out, third) {
		t.Errorf("without the store the doctor does not name the newest backup, %s: status %d\n%s", third, status, out)
	}
	lost := []string{second, third}
	var own string
	for days := range 3 {
		var log string
		own, log = serveOnce(t, one, folder)
		if !strings.Contains(log, "backups of other stores") || !strings.Contains(log, third) {
			t.Errorf("the log does not name %s:\n%s", third, log)
		}
		out = relcheckOutput(t, "doctor", "--db", one, "--backup-dir", folder)
		if !strings.Contains(out, "2 in "+folder+" belong to other stores or an older relcheck, the newest is "+third) {
			t.Errorf("the doctor finds:\n%s", out)
		}
		if got := filesIn(t, folder); len(got) != 3 || !slices.Contains(got, lost[0]) || !slices.Contains(got, lost[1]) {
			t.Fatalf("there are %v, want %v and one more", got, lost)
		}
		own = renameToAge(t, folder, own, 10-days)
	}

	restored := filepath.Join(t.TempDir(), "restored.db")
	relcheck(t, "restore", filepath.Join(folder, third), "--db", restored)
	last, _ := serveOnce(t, restored, folder)
	if got := filesIn(t, folder); len(got) != 3 || !slices.Contains(got, second) || !slices.Contains(got, own) || !slices.Contains(got, last) {
		t.Errorf("there are %v, want %v", got, []string{second, own, last})
	}
}

// TestRestoreKilled kills restores. The next restore or server must remove the
// incomplete file.
func TestRestoreKilled(t *testing.T) {
	backupFile := filepath.Join(t.TempDir(), "backup.db")
	relcheck(t, "backup", backupFile, "--db", newFilledStore(t, *backedUp))
	left := 0
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
		left++
		said := ""
		if round%2 == 0 {
			said = relcheckOutput(t, "restore", backupFile, "--db", store)
		} else {
			if out, _ := relcheckStatus(t, "doctor", "--db", store); !strings.Contains(out, leftovers[0]) {
				t.Errorf("the doctor does not name %v:\n%s", leftovers, out)
			}
			s := serve(t, store)
			s.stop(t)
			said = s.errs.String()
		}
		if !strings.Contains(said, leftovers[0]) {
			t.Errorf("nothing is said of %v:\n%s", leftovers, said)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "*.partial-*")); len(files) > 0 {
			t.Errorf("left are %v", files)
		}
	}
	if left == 0 {
		t.Error("none was killed halfway")
	}
}
