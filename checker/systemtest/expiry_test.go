package systemtest

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/db"
)

// clockFile is the environment variable with the name of the file that sets the clocks of
// a process under test: how far the wall clock and the monotonic clock are ahead.
const clockFile = "SYSTEMTEST_CLOCK"

// testClock returns the clocks of clockFile, or the system's.
func testClock() db.Clock {
	name := os.Getenv(clockFile)
	if name == "" {
		return db.Clock{}
	}
	ahead := func() (wall, elapsed time.Duration) {
		text, err := os.ReadFile(name)
		words := strings.Fields(string(text))
		if err == nil && len(words) == 2 {
			wall, err = time.ParseDuration(words[0])
		}
		if err == nil && len(words) == 2 {
			elapsed, err = time.ParseDuration(words[1])
		}
		if err != nil || len(words) != 2 {
			panic(fmt.Sprintf("%s: %q, %v", name, text, err))
		}
		return wall, elapsed
	}
	began := time.Now()
	return db.Clock{
		Wall: func() time.Time {
			wall, _ := ahead()
			return time.Now().Add(wall)
		},
		Elapsed: func() time.Duration {
			_, elapsed := ahead()
			return time.Since(began) + elapsed
		},
	}
}

// setClock changes the clocks of the processes of a test.
func setClock(t *testing.T, file string, wall, elapsed time.Duration) {
	t.Helper()
	err := os.WriteFile(file+"-new", []byte(wall.String()+" "+elapsed.String()), 0o600)
	if err == nil {
		err = os.Rename(file+"-new", file)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// newOldStore creates a store with reports of three days ago.
func newOldStore(t *testing.T, store string, reports int) (ids []uuid.UUID) {
	t.Helper()
	ctx := context.Background()
	s, err := db.Open(ctx, store, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var all []db.Recorded
	for range reports {
		ids = append(ids, uuid.New())
		all = append(all, db.Recorded{At: time.Now().AddDate(0, 0, -3), Platform: checker.Platform{OS: "linux", Arch: "amd64"},
			Report: checker.Report{ID: ids[len(ids)-1], Version: "1.0.0"}})
	}
	var none iter.Seq[db.Checked] = func(func(db.Checked) bool) {}
	if _, err := s.Backfill(ctx, "opa", slices.Values(all), none); err != nil {
		t.Fatal(err)
	}
	return ids
}

// countIDsInFiles counts the instance IDs that occur in some form in the files of a
// store, which this process must not have open.
func countIDsInFiles(t *testing.T, store string, ids []uuid.UUID) (n int) {
	t.Helper()
	names, err := filepath.Glob(store + "*")
	if err != nil || len(names) == 0 {
		t.Fatalf("got no files of %s (error %v)", store, err)
	}
	var files []byte
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b...)
	}
	lower := bytes.ToLower(files)
	for _, id := range ids {
		if bytes.Contains(files, id[:]) || bytes.Contains(lower, []byte(id.String())) || bytes.Contains(lower, []byte(hex.EncodeToString(id[:]))) {
			n++
		}
	}
	return n
}

// TestExpiredReportsAreErased checks that a running server deletes expired reports from the
// bytes of its files, an hour after its start or a clock jump, and that statistics
// still count them.
func TestExpiredReportsAreErased(t *testing.T) {
	const reports = 500
	store, clock := filepath.Join(t.TempDir(), "relcheck.db"), filepath.Join(t.TempDir(), "clock")
	t.Setenv(clockFile, clock)
	ids := newOldStore(t, store, reports)
	if n := countIDsInFiles(t, store, ids); n != reports {
		t.Fatalf("before: got %d of %d instance IDs in the files: the test searches the wrong files", n, reports)
	}
	setClock(t, clock, -27*time.Hour, 0)
	s := serve(t, store, "--keep-reports", "1h")
	jumped := func(times int, wall time.Duration) {
		t.Helper()
		setClock(t, clock, wall, 0)
		waitFor(t, "the clock jump in the log", func() bool { return s.errs.count("the clock jumped") == times })
	}
	waitFor(t, "folded reports", func() bool {
		return strings.Contains(relcheck(t, "stats", "opa", "--by", "versions", "--csv", "--db", store), "v1.0.0,,500,")
	})
	jumped(1, -4*time.Hour)
	jumped(2, -2*time.Hour)
	if n := countIDsInFiles(t, store, ids); n != reports {
		t.Errorf("after two clock jumps: got %d of %d instance IDs, want all", n, reports)
	}
	setClock(t, clock, -time.Hour, time.Hour)
	left := reports
	for deadline := time.Now().Add(waitTimeout); left > 0 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		left = countIDsInFiles(t, store, ids)
	}
	if left > 0 {
		t.Errorf("running server: got %d of %d instance IDs in the files, want 0", left, reports)
	}
	s.stop(t)
	if n := countIDsInFiles(t, store, ids); n > 0 {
		t.Errorf("stopped server: got %d of %d instance IDs in the files, want 0", n, reports)
	}
	if strings.Contains(relcheck(t, "export", "opa", "--db", store), "id") {
		t.Error("got reports in the export, want none")
	}
	if !strings.Contains(relcheck(t, "stats", "opa", "--by", "versions", "--csv", "--db", store), "v1.0.0,,500,") {
		t.Errorf("got statistics without the 500 instances:\n%s", relcheck(t, "stats", "opa", "--by", "versions", "--csv", "--db", store))
	}
}
