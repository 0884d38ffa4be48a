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

var stoppedList = flag.Int("stopped-list", unlessRace(20_000, 2_000), "number of releases in the import that is suspended")

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
	stopCount, recorded, bad := suspendRepeatedly(t, served, "relcheck", begun, unlessRace(8, 6), "release", "import", "opa", list, "--db", store)
	if 3*recorded < 2*stopCount || stopCount == 0 {
		t.Errorf("got reports recorded during %d of %d stops, want two thirds or more", recorded, stopCount)
	}
	if bad > 0 {
		t.Errorf("got %d reports not recorded, want 0", bad)
	}
	if n := strings.Count(relcheck(t, "release", "list", "opa", "--db", store), "\n"); n != *stoppedList+1 {
		t.Errorf("got %d lines of releases, want %d", n, *stoppedList+1)
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
	if stopCount, recorded, _ := suspendRepeatedly(t, served, "import", begun, 3, store, strconv.Itoa(*stoppedList)); 2*recorded > stopCount || stopCount == 0 {
		t.Errorf("got reports recorded during %d of %d stops, want half or less", recorded, stopCount)
	}
}

// suspendRepeatedly runs this binary in a role, suspends it repeatedly while a server
// records, and returns the number of stops, the number of those during which the server
// recorded, and the number of reports that were not recorded.
func suspendRepeatedly(t *testing.T, served *process, as string, begun func() bool, stops int, args ...string) (stopCount, recorded int, bad int64) {
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
	waitFor(t, "start of the import", func() bool { return len(exited) > 0 || begun() })
	for running := true; running; {
		select {
		case err := <-exited:
			if running = false; err != nil {
				t.Errorf("got import error %v, want none", err)
			}
		case <-time.After(rand.N(100 * time.Millisecond)):
			if stopCount < stops && cmd.Process.Signal(syscall.SIGSTOP) == nil {
				if stopCount++; isRecording(&sent) {
					recorded++
				}
				cmd.Process.Signal(syscall.SIGCONT)
			}
		}
	}
	t.Logf("reports recorded during %d of %d stops", recorded, stopCount)
	cancel()
	return stopCount, recorded, <-refused
}

// isRecording reports whether reports are recorded within the next three seconds.
func isRecording(sent *acknowledged) bool {
	before := len(sent.snapshot())
	for begin := time.Now(); time.Since(begin) < 3*time.Second; time.Sleep(5 * time.Millisecond) {
		if len(sent.snapshot()) > before+20 { // more than the requests in flight
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
