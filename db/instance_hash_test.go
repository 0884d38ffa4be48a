package db_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/db"
)

// TestInstanceHashesAreKeyed records the same instance IDs in two stores. Both count them
// correctly, but hash them with their own keys, so that an attacker cannot choose IDs that
// distort the counts.
func TestInstanceHashesAreKeyed(t *testing.T) {
	var all []db.Recorded
	for range 20 {
		all = append(all, db.Recorded{At: time.Now(), Platform: linux, Report: checker.Report{ID: report("1.0.0").ID, Version: "1.0.0"}})
	}
	var sketches [2]string
	var lives, ids [2]int64
	for i := range sketches {
		name := filepath.Join(t.TempDir(), "a.db")
		s := open(t, name)
		if _, err := s.Backfill(context.Background(), "opa", slices.Values(all), func(func(db.Checked) bool) {}); err != nil {
			t.Fatal(err)
		}
		fold(t, s)
		row := raw(t, name).QueryRow("SELECT data, (SELECT MIN(id) FROM life), (SELECT ids FROM rollup WHERE span = 1) FROM sketch WHERE span = 1")
		if err := row.Scan(&sketches[i], &lives[i], &ids[i]); err != nil {
			t.Fatal(err)
		}
	}
	if ids != [2]int64{20, 20} {
		t.Errorf("got %d instances, want 20 in each store", ids)
	}
	if sketches[0] == sketches[1] || lives[0] == lives[1] {
		t.Error("got equal hashes in two stores, want different ones")
	}
}
