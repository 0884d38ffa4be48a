package systemtest

import (
	"database/sql"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// ready returns the status of /readyz.
func (p *process) ready(t testing.TB) int {
	t.Helper()
	res, err := http.Get("http://" + p.addr + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// report sends a report and returns the status of the response.
func (p *process) report(t testing.TB) int {
	t.Helper()
	body := `{"id":"` + uuid.NewString() + `","version":"0.70.0"}`
	res, err := http.Post("http://"+p.addr+"/v1/version", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// newKilledStore returns a store whose server was killed under load.
func newKilledStore(t *testing.T) (store string) {
	t.Helper()
	store = newFilledStore(t, unlessRace(20_000, 5_000))
	var acked acknowledged
	for after := 300 * time.Millisecond; after < waitTimeout; after *= 2 { // a busy server may need longer for its first response
		if acked.untilKilled(t, serve(t, store), 8, after); len(acked.ids) > 0 {
			return store
		}
	}
	t.Fatal("got no acknowledged report in any attempt")
	return ""
}

// damageReports overwrites the beginning of a page that holds reports. The write-ahead log
// is emptied before, because a newer version of the page in it would hide the damage.
func damageReports(t *testing.T, store string) {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+store+"?mode=rw&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	var offset int64
	_, err = d.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	if err == nil {
		err = d.QueryRow("SELECT pgoffset FROM dbstat WHERE name = 'report' AND pagetype = 'leaf' ORDER BY pageno LIMIT 1 OFFSET 5").Scan(&offset)
	}
	if closed := d.Close(); err == nil {
		err = closed
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(store, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err = f.WriteAt([]byte(strings.Repeat("\xff", 12)), offset); err != nil {
		t.Fatal(err)
	}
}

// TestIntegrityCheckAfterKill checks that a server checks the file after a kill while it
// records, and does not check it again if it is intact.
func TestIntegrityCheckAfterKill(t *testing.T) {
	t.Parallel()
	store := newKilledStore(t)
	lock := store + "-lock"
	if b, err := os.ReadFile(lock); err != nil || len(b) == 0 {
		t.Fatalf("got lock file %q (error %v), want the mark of the killed process", b, err)
	}
	served := serve(t, store)
	if status := served.ready(t); status != http.StatusOK {
		t.Errorf("/readyz: got status %d, want 200 at once", status)
	}
	// A stop ends the check, so each server runs twice as long as the one before.
	for deadline, runTime := time.Now().Add(time.Minute), 200*time.Millisecond; ; runTime *= 2 {
		time.Sleep(runTime)
		served.stop(t)
		if b, err := os.ReadFile(lock); err == nil && len(b) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the mark of the killed process is still in the lock file after a minute")
		}
		served = serve(t, store)
	}
}

// TestDamageIsFoundAfterKill checks that a server with a damaged file is not ready,
// even after a restart, but records reports and keeps the file.
func TestDamageIsFoundAfterKill(t *testing.T) {
	t.Parallel()
	store := newKilledStore(t)
	damageReports(t, store)
	for range 2 {
		served := serve(t, store)
		for deadline := time.Now().Add(waitTimeout); served.ready(t) == http.StatusOK; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("/readyz: got status 200 with a damaged file, want 503")
			}
		}
		if status := served.report(t); status != http.StatusOK {
			t.Errorf("report: got status %d, want 200", status)
		}
		served.stop(t)
	}
	if out, status := relcheckStatus(t, "backup", store+".copy", "--db", store); status != 1 || !strings.Contains(out, "damaged") {
		t.Errorf("backup of a damaged store: got exit status %d, want 1\n%s", status, out)
	}
}
