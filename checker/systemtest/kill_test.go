package systemtest

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

var kills = flag.Int("kills", 20, "number of times that a server is killed under load; make test-crash kills 500 times")

func get(t testing.TB, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, res)
}

func readAll(t testing.TB, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestKilledUnderLoad kills a server under load again and again. Each acknowledged
// report must be recorded exactly once.
func TestKilledUnderLoad(t *testing.T) {
	rounds := *kills
	if testing.Short() {
		rounds = 5
	}
	file := filepath.Join(t.TempDir(), "relcheck.db")
	acked := killUnderLoad(t, file, "relcheck", rounds)
	acked.wantRecordedOnce(t, exportedIDs(t, file))
	if len(acked.ids) < rounds { // with the race detector, few requests are answered before a kill
		t.Errorf("got %d reports in %d rounds, want one or more a round", len(acked.ids), rounds)
	}
	t.Logf("%d reports acknowledged in %d rounds, all recorded", len(acked.ids), rounds)
}

// TestKilledUnderLoadControl checks that the same method finds the loss of a server
// that answers before it records.
func TestKilledUnderLoadControl(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relcheck.db")
	early := 0
	for range 10 { // on a busy machine, a server may be killed before its first response
		acked := killUnderLoad(t, file, "early", 5)
		seen := exportedIDs(t, file)
		for id := range acked.ids {
			if seen[id] == 0 {
				return
			}
		}
		early += len(acked.ids)
	}
	t.Errorf("got 0 of %d reports acknowledged early missing, want some", early)
}

// killUnderLoad starts a server a number of times, kills it while reports arrive, and
// returns the acknowledged ones.
func killUnderLoad(t *testing.T, file, as string, rounds int) *acknowledged {
	t.Helper()
	acked := new(acknowledged)
	for round := range rounds {
		served := start(t, as, "serve", "--listen", "127.0.0.1:0", "--db", file)
		acked.untilKilled(t, served, 16, time.Duration(20+7*(round%20))*time.Millisecond)
	}
	return acked
}

// untilKilled sends reports to a server and kills it, and other processes with it, after
// a time. It adds the acknowledged reports, and requires that all responses are 200.
func (a *acknowledged) untilKilled(t *testing.T, served *process, connections int, after time.Duration, with ...*process) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	time.AfterFunc(after, func() {
		for _, p := range append(with, served) {
			p.cmd.Process.Kill()
		}
		stop()
	})
	bad := sendUntil(ctx, newLoad(t, served.addr, connections, a.add))
	<-ctx.Done()
	for _, p := range append(with, served) {
		p.kill()
	}
	if bad > 0 {
		t.Fatalf("got %d responses other than 200, want 0", bad)
	}
}

// exportedIDs counts the instance IDs in the export.
func exportedIDs(t testing.TB, file string) map[uuid.UUID]int {
	t.Helper()
	return idsIn(t, relcheck(t, "export", "opa", "--db", file))
}

// idsIn counts the instance IDs in the output of relcheck export.
func idsIn(t testing.TB, exported string) map[uuid.UUID]int {
	t.Helper()
	seen := map[uuid.UUID]int{}
	for line := range strings.Lines(exported) {
		var r struct{ ID uuid.UUID }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		seen[r.ID]++
	}
	return seen
}
