package systemtest

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var stoppedList = flag.Int("stopped-list", unlessRace(50_000, 2_000), "how many releases a list has whose import is stopped")

// TestSuspendedImport suspends an import repeatedly. A server must keep recording,
// unless the import is within one of its short transactions.
func TestSuspendedImport(t *testing.T) {
	store, list := filepath.Join(t.TempDir(), "a.db"), filepath.Join(t.TempDir(), "releases.json")
	writeList(t, list, *stoppedList)
	served := serve(t, store)
	begun := func() (begun bool) {
		err := openSQLite(t, store).QueryRow("SELECT EXISTS (SELECT 1 FROM stage)").Scan(&begun)
		if err != nil {
			t.Fatal(err)
		}
		return begun
	}
	all, went, bad := suspendRepeatedly(t, served, "relcheck", begun, unlessRace(15, 6), "release", "import", "opa", list, "--db", store)
	if 3*went < 2*all || all == 0 {
		t.Errorf("after %d of %d stops, reports were recorded", went, all)
	}
	if bad > 0 {
		t.Errorf("%d reports were not recorded", bad)
	}
	if n := strings.Count(relcheck(t, "release", "list", "opa", "--db", store), "\n"); n != *stoppedList+1 {
		t.Errorf("%d lines about releases, want %d", n, *stoppedList+1)
	}
}

// TestSuspendedImportControl checks that an import in a single transaction blocks the
// server.
func TestSuspendedImportControl(t *testing.T) {
	store := filepath.Join(t.TempDir(), "a.db")
	served := serve(t, store)
	begun := func() bool {
		_, err := os.Stat(store + "-begun")
		return err == nil
	}
	if all, went, _ := suspendRepeatedly(t, served, "import", begun, 3, store, strconv.Itoa(*stoppedList)); 2*went > all || all == 0 {
		t.Errorf("after %d of %d stops, reports were recorded", went, all)
	}
}

// suspendRepeatedly runs this binary in a role, suspends it repeatedly while a server records,
// and returns the number of stops, those during which the server recorded, and the
// reports that were not recorded.
func suspendRepeatedly(t *testing.T, served *process, as string, begun func() bool, stops int, args ...string) (all, went int, bad int64) {
	var sent acknowledged
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	refused := make(chan int64)
	go func() { refused <- sendUntil(ctx, newLoad(t, served.addr, 4, sent.add)) }()
	sent.await(t, 100)
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = environment(as)
	cmd.Stderr = &testLog{TB: t}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	waitFor(t, "the import writes", func() bool { return len(exited) > 0 || begun() })
	for running := true; running; {
		select {
		case err := <-exited:
			if running = false; err != nil {
				t.Errorf("the import ends with %v", err)
			}
		case <-time.After(rand.N(100 * time.Millisecond)):
			if all < stops && cmd.Process.Signal(syscall.SIGSTOP) == nil {
				if all++; recordsWithin(&sent) {
					went++
				}
				cmd.Process.Signal(syscall.SIGCONT)
			}
		}
	}
	t.Logf("after %d of %d stops, reports were recorded", went, all)
	cancel()
	return all, went, <-refused
}

// recordsWithin reports whether reports are recorded within three seconds.
func recordsWithin(sent *acknowledged) bool {
	before := len(sent.snapshot())
	for begin := time.Now(); time.Since(begin) < 3*time.Second; time.Sleep(5 * time.Millisecond) {
		if len(sent.snapshot()) > before+20 { // more than what was on its way
			return true
		}
	}
	return false
}

// openSQLite opens a store that another process has open.
func openSQLite(t *testing.T, store string) *sql.DB {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+store+"?mode=rw&_txlock=immediate&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// writeList writes a list of n releases in the format of GitHub's API.
func writeList(t *testing.T, file string, n int) {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `%c{"tag_name":"v1.%d.%d","published_at":"2026-01-31T00:00:00Z"}`, "[,"[min(i, 1)], i/100, i%100)
	}
	if err := os.WriteFile(file, []byte(b.String()+"]"), 0o600); err != nil {
		t.Fatal(err)
	}
}
