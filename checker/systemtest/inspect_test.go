package systemtest

import (
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

// report is the status by which a report is answered.
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
	for after := 300 * time.Millisecond; after < waitTimeout; after *= 2 { // a busy machine may answer nobody so soon
		if acked.untilKilled(t, serve(t, store), 8, after); len(acked.ids) > 0 {
			return store
		}
	}
	t.Fatal("this was no load")
	return ""
}

// TestIntegrityCheckAfterKill checks that a server checks the file after a kill while it
// records, and does not check it again if it is intact.
func TestIntegrityCheckAfterKill(t *testing.T) {
	t.Parallel()
	store := newKilledStore(t)
	lock := store + "-lock"
	if b, err := os.ReadFile(lock); err != nil || len(b) == 0 {
		t.Fatalf("nothing tells of the kill: %q, %v", b, err)
	}
	served := serve(t, store)
	if status := served.ready(t); status != http.StatusOK {
		t.Errorf("not ready at once: %d", status)
	}
	// Each server gets twice as long as the one before, for a stop ends the look.
	for deadline, patience := time.Now().Add(time.Minute), 200*time.Millisecond; ; patience *= 2 {
		time.Sleep(patience)
		served.stop(t)
		if b, err := os.ReadFile(lock); err == nil && len(b) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a sound file is looked through again and again")
		}
		served = serve(t, store)
	}
}

// TestDamageIsFoundAfterKill checks that a server with a damaged file is not ready,
// also after a restart, but records and keeps the file.
func TestDamageIsFoundAfterKill(t *testing.T) {
	t.Parallel()
	store := newKilledStore(t)
	f, err := os.OpenFile(store, os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt([]byte(strings.Repeat("\xff", 12)), 99*4096)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		served := serve(t, store)
		for deadline := time.Now().Add(waitTimeout); served.ready(t) == http.StatusOK; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("ready, with a damaged file")
			}
		}
		if status := served.report(t); status != http.StatusOK {
			t.Errorf("it does not record: %d", status)
		}
		served.stop(t)
	}
	if out, status := relcheckStatus(t, "backup", store+".copy", "--db", store); status != 1 || !strings.Contains(out, "damaged") {
		t.Errorf("a damaged store is backed up: exit status %d\n%s", status, out)
	}
}
