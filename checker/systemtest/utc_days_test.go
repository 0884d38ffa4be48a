package systemtest

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the machine may have no time zones

	"github.com/google/uuid"
)

// TestUTCDays checks that days are UTC days, whatever the server's time zone.
func TestUTCDays(t *testing.T) {
	now := time.Now().UTC()
	zone := "Pacific/Kiritimati" // 14 hours ahead: tomorrow, from 10:00 UTC on
	if now.Hour() < 10 {
		zone = "Pacific/Pago_Pago" // 11 hours behind: yesterday, until 11:00 UTC
	}
	t.Setenv("TZ", zone)
	store := filepath.Join(t.TempDir(), "relcheck.db")
	served := serve(t, store)
	body := `{"id":"` + uuid.NewString() + `","version":"1.0.0"}`
	res, err := http.Post("http://"+served.addr+"/v1/version", "application/json", strings.NewReader(body))
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("report: got %v (error %v), want status 200", res, err)
	}
	res.Body.Close()
	day := now.Format(time.DateOnly)
	if today := time.Now().UTC().Format(time.DateOnly); today != day {
		t.Skip("the day changed during the test")
	}
	want := day + ",1,1,"
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out := relcheck(t, "stats", "opa", "--db", store, "--days", "1", "--by", "daily", "--csv")
		if strings.Contains(out, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("time zone %s: got statistics without a report on %s:\n%s", zone, day, out)
		}
	}
}
