package systemtest

import (
	"context"
	"database/sql"
	"flag"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"relcheck/checker"
	"relcheck/checker/simulate"
	"relcheck/db"
	"relcheck/db/backup"
)

var backedUp = flag.Int("backedup", unlessRace(30_000, 4_000), "number of reports in the store of the backup tests; make test-backup uses ten million")

// unlessRace returns n, or slow under the race detector, which makes SQLite slow.
func unlessRace(n, slow int) int {
	if race {
		return slow
	}
	return n
}

// newFilledStore creates a store with n reports of the last days.
func newFilledStore(t testing.TB, n int) (store string) {
	t.Helper()
	store = filepath.Join(t.TempDir(), "relcheck.db")
	ctx := context.Background()
	s, err := db.Open(ctx, store, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	begin := time.Now().AddDate(0, 0, -5)
	_, err = s.Backfill(ctx, "opa", func(yield func(db.Recorded) bool) {
		for i := range n {
			heap := random.Int64N(1 << 28)
			r := db.Recorded{At: begin.Add(time.Duration(i) * 4 * 24 * time.Hour / time.Duration(n)), Platform: checker.Platform{OS: "linux", Arch: "amd64"},
				Report: checker.Report{ID: randomID(random), Version: "0.70.0", HeapUsageBytes: &heap}}
			if !yield(r) {
				return
			}
		}
	}, func(func(db.Checked) bool) {})
	if err == nil {
		_, err = s.Fold(ctx)
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// reporters are clients that send reports to a server until they are stopped. They
// collect the acknowledged reports.
type reporters struct {
	acknowledged
	stop func() (*simulate.Result, error)
}

func startReporters(t testing.TB, addr string) *reporters {
	t.Helper()
	c := &reporters{}
	l := newLoad(t, addr, 16, c.add)
	ctx, cancel := context.WithCancel(context.Background())
	var r *simulate.Result
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r, err = l.Run(ctx)
	}()
	c.stop = func() (*simulate.Result, error) {
		cancel()
		<-ended
		return r, err
	}
	return c
}

// finish stops the clients and requires that all reports were answered. A busy server may
// reject reports, which is logged and no error.
func (c *reporters) finish(t testing.TB) {
	t.Helper()
	r, err := c.stop()
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed > 0 {
		t.Errorf("got %d reports without a response, want 0: %v", r.Failed, r.FirstError)
	}
	t.Logf("%d reports acknowledged, %d rejected", r.Recorded, r.Sent-r.Failed-r.GivenUp-r.Recorded)
}

// countMissing returns the number of wanted instance IDs that a store does not contain:
// all of them if it cannot be read.
func countMissing(t testing.TB, store string, wanted map[uuid.UUID]bool) (n int) {
	t.Helper()
	out, status := relcheckStatus(t, "export", "opa", "--db", store, "--since", "1h")
	if status != 0 {
		return len(wanted)
	}
	exported := idsIn(t, out)
	for id := range wanted {
		if exported[id] == 0 {
			n++
		}
	}
	return n
}

// missingInFileCopy reports whether a copy of a store's file without its WAL lacks
// acknowledged reports. A copy made right after a checkpoint lacks none, so several are
// made.
func (c *reporters) missingInFileCopy(t testing.TB, store string) bool {
	t.Helper()
	for range 10 {
		if acked := c.snapshot(); countMissing(t, copyFile(t, store), acked) > 0 {
			return true
		}
	}
	return false
}

// integrity returns the result of SQLite's integrity check of a file that no process has
// open.
func integrity(t testing.TB, file string) (result string) {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.QueryRow("PRAGMA integrity_check").Scan(&result); err != nil {
		return err.Error()
	}
	return result
}

// TestBackupUnderLoad makes backups while reports arrive. Each must contain all reports
// that were acknowledged before it began, and a server must run on it. As a control, a
// copy of the database file alone must lack some.
func TestBackupUnderLoad(t *testing.T) {
	store := newFilledStore(t, *backedUp)
	served := serve(t, store)
	c := startReporters(t, served.addr)
	c.await(t, 100)
	begin, before := time.Now(), len(c.snapshot())
	var backupFile string
	var known map[uuid.UUID]bool // before the last backup
	for round := range unlessRace(3, 1) {
		backupFile = filepath.Join(t.TempDir(), "backup.db")
		known = c.snapshot()
		began := time.Now()
		out := relcheckOutput(t, "backup", backupFile, "--db", store)
		t.Logf("round %d, %v: %s", round, time.Since(began).Round(time.Millisecond), out)
		if found := integrity(t, backupFile); found != "ok" {
			t.Errorf("integrity check of the backup: got %s, want ok", found)
		}
		if files, _ := filepath.Glob(backupFile + "*"); len(files) != 1 {
			t.Errorf("got files %v, want the backup only", files)
		}
		if n := countMissing(t, copyFile(t, backupFile), known); n > 0 {
			t.Errorf("got a backup without %d of %d reports acknowledged before it began", n, len(known))
		}
	}
	t.Logf("%.0f reports a second meanwhile", float64(len(c.snapshot())-before)/time.Since(begin).Seconds())
	if !c.missingInFileCopy(t, store) {
		t.Error("got all reports in copies of the file alone, want some missing")
	}
	c.finish(t)
	restored := filepath.Join(t.TempDir(), "restored.db")
	relcheck(t, "restore", backupFile, "--db", restored)
	restoredServer := serve(t, restored)
	if status := restoredServer.report(t); status != http.StatusOK {
		t.Errorf("report to the restored store: got status %d, want 200", status)
	}
	if n := countMissing(t, restored, known); n > 0 {
		t.Errorf("got %d of %d reports missing in the restored store, want 0", n, len(known))
	}
	if status := restoredServer.ready(t); status != http.StatusOK {
		t.Errorf("/readyz: got status %d, want 200", status)
	}
}

// copyFile copies the bytes of a file.
func copyFile(t testing.TB, file string) (copied string) {
	t.Helper()
	b, err := os.ReadFile(file)
	copied = filepath.Join(t.TempDir(), "clone.db")
	if err == nil {
		err = os.WriteFile(copied, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

func relcheckOutput(t testing.TB, args ...string) string {
	t.Helper()
	out, status := relcheckStatus(t, args...)
	if status != 0 {
		t.Fatalf("relcheck %s: exit status %d\n%s", strings.Join(args, " "), status, out)
	}
	return strings.TrimSpace(out)
}

// TestBackupKilled kills or interrupts backups at various points. A backup must be
// complete or missing, and the store unchanged.
func TestBackupKilled(t *testing.T) {
	store := newFilledStore(t, *backedUp)
	served := serve(t, store)
	c := startReporters(t, served.addr)
	began := time.Now()
	relcheck(t, "backup", filepath.Join(t.TempDir(), "whole.db"), "--db", store)
	whole := time.Since(began)
	rounds := 4
	complete, incomplete := 0, 0
	for round := range rounds {
		dir := t.TempDir()
		file := filepath.Join(dir, "backup.db")
		cmd := exec.Command(os.Args[0], "backup", file, "--db", store)
		cmd.Env = environment("relcheck")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		begun := func() bool {
			files, err := filepath.Glob(file + ".partial-*[0-9]")
			return len(files) > 0 || err != nil
		}
		for deadline := time.Now().Add(20 * time.Second); !begun() && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(whole * time.Duration(round/2) / time.Duration(rounds))
		sign := []os.Signal{os.Kill, os.Interrupt}[round%2]
		cmd.Process.Signal(sign)
		cmd.Wait()
		leftovers, err := backup.Leftovers(file)
		if err != nil {
			t.Fatal(err)
		}
		incomplete += len(leftovers)
		if _, err := os.Stat(file); err == nil {
			complete++
			if found := integrity(t, file); found != "ok" {
				t.Errorf("integrity check of a backup: got %s, want ok", found)
			}
			continue
		}
		if sign == os.Interrupt && len(leftovers) > 0 {
			t.Errorf("interrupted backup: got leftover files %v, want none", leftovers)
		}
		other := filepath.Join(dir, "other.db") // another name, as if backups are named by their date
		if out := relcheckOutput(t, "backup", other, "--db", store); len(leftovers) > 0 && !strings.Contains(out, leftovers[0]) {
			t.Errorf("next backup: got output %s, want the leftover files %v named", out, leftovers)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 {
			t.Errorf("after the next backup: got files %v, want one", files)
		}
	}
	t.Logf("%d of %d backups complete, %d incomplete", complete, rounds, incomplete)
	if incomplete == 0 {
		t.Error("got no incomplete backup, want some: none was killed while it was written")
	}
	c.finish(t)
	if n := countMissing(t, store, c.snapshot()); n > 0 {
		t.Errorf("got %d acknowledged reports missing in the store, want 0", n)
	}
	served.cmd.Process.Signal(os.Interrupt)
	served.cmd.Wait()
	if found := integrity(t, store); found != "ok" {
		t.Errorf("integrity check of the store: got %s, want ok", found)
	}
}

// TestServeBacksUp checks that a server makes a backup when it starts, unless there is
// a recent one, and shows it in its metrics.
func TestServeBacksUp(t *testing.T) {
	store, folder := newFilledStore(t, 1000), t.TempDir()
	t.Setenv("RELCHECK_BACKUP_DIR", folder)
	token := strings.TrimSpace(relcheck(t, "token", "add", "prometheus", "--db", store))
	metrics := func(s *process) string {
		r, err := http.NewRequest("GET", "http://"+s.addr+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return readAll(t, res)
	}
	for range 2 {
		served := serve(t, store)
		text := ""
		waitFor(t, "metrics of a backup", func() bool { // its time and its size are not read atomically
			text = metrics(served)
			return strings.Contains(text, "relcheck_backup_last_timestamp_seconds 1.") && !strings.Contains(text, "relcheck_backup_last_size_bytes 0\n")
		})
		if !strings.Contains(text, "relcheck_backup_failures_total 0\n") {
			t.Fatalf("got failed backups, want none:\n%s", text)
		}
		served.kill()
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(files) != 1 || integrity(t, files[0]) != "ok" {
		t.Fatalf("got files %v (error %v), want one sound backup", files, err)
	}
	for _, args := range [][]string{{"--backup-keep", "0"}, {"--backup-every", "1s"}} {
		if out, status := relcheckStatus(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--db", store, "--backup-dir", folder}, args...)...); status != 2 {
			t.Errorf("serve %v: got exit status %d, want 2\n%s", args, status, out)
		}
	}
	out, status := relcheckStatus(t, "serve", "--listen", "127.0.0.1:0", "--db", store, "--backup-dir", filepath.Join(folder, "none"))
	if status != 1 || !strings.Contains(out, "does not exist; create it first") {
		t.Errorf("missing folder: got exit status %d and output %s, want 1 and a hint to create it", status, out)
	}
}

// TestBackupOfPostgresUnderLoad checks that a backup of a PostgreSQL store contains
// the reports that were acknowledged before it began.
func TestBackupOfPostgresUnderLoad(t *testing.T) {
	name := database(t)
	served := serve(t, name)
	c := startReporters(t, served.addr)
	c.await(t, 100)
	for range 2 {
		backupFile, known := filepath.Join(t.TempDir(), "backup.db"), c.snapshot()
		t.Log(relcheckOutput(t, "backup", backupFile, "--db", name))
		if n := countMissing(t, backupFile, known); n > 0 || len(known) == 0 {
			t.Errorf("got a backup without %d of %d reports acknowledged before it began", n, len(known))
		}
	}
	c.finish(t)
}
