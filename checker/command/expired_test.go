package command_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"iter"
	"log/slog"
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

// old makes a store with reports of some days ago, of which the clock has been
// looked at an hour ago: the next to look removes them.
func old(t *testing.T, store string, reports int) (ids []uuid.UUID) {
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
	if err := s.Sweep(ctx, db.Retention{Reports: time.Hour}, time.Now().Add(-time.Hour-time.Second), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return ids
}

// found counts the ids of which some form stands in the files of a store. No
// process that has it open may be this one.
func found(t *testing.T, store string, ids []uuid.UUID) (n int) {
	t.Helper()
	names, err := filepath.Glob(store + "*")
	if err != nil || len(names) == 0 {
		t.Fatal("no files", err)
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

// TestExpiredIsGone has a server remove what is past its retention: from the
// bytes of the files too, while the server runs, and from none of the figures.
func TestExpiredIsGone(t *testing.T) {
	t.Parallel()
	const reports = 2000
	store := filepath.Join(t.TempDir(), "relcheck.db")
	ids := old(t, store, reports)
	if n := found(t, store, ids); n != reports {
		t.Fatalf("%d of %d ids are in the files before: this looks in the wrong place", n, reports)
	}
	s := serve(t, store, "--keep-reports", "1h")
	left := reports
	for deadline := time.Now().Add(eventually); left > 0 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		left = found(t, store, ids)
	}
	if left > 0 {
		t.Errorf("%d of %d ids are still in the files of a server that runs", left, reports)
	}
	s.stop(t)
	if n := found(t, store, ids); n > 0 {
		t.Errorf("%d of %d ids are still in the files", n, reports)
	}
	if strings.Contains(relcheck(t, "export", "opa", "--db", store), "id") {
		t.Error("there are reports to export")
	}
	if !strings.Contains(relcheck(t, "stats", "opa", "--by", "versions", "--csv", "--db", store), "v1.0.0,,2000,") {
		t.Errorf("they count no more:\n%s", relcheck(t, "stats", "opa", "--by", "versions", "--csv", "--db", store))
	}
}
