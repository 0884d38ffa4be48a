package db_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"relcheck/db"
	"relcheck/db/backup"
)

// A backup rests after each step while somebody records, has each on the disk before,
// and is whole. Where nobody records it takes no rest, nor where it would have to be
// given up otherwise.
func TestBackupThrottle(t *testing.T) {
	path, s := newLargeStore(t)
	w := writer(t, s)
	defer w.Close()
	record := func() {
		if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
			t.Error(err)
		}
	}
	if rested, steps := countPauses(t, s, record); rested != steps || steps < 3 {
		t.Errorf("%d of %d steps were followed by a rest while somebody recorded", rested, steps)
	}
	if rested, steps := countPauses(t, s, func() {}); 2*rested > steps || steps < 3 {
		t.Errorf("%d of %d steps were followed by a rest while nobody recorded", rested, steps)
	}
	for logSize(t, path) < 1<<20 {
		record()
	}
	defer db.SetMaxGrowth(db.SetMaxGrowth(logSize(t, path) * 3 / 2))
	if rested, steps := countPauses(t, s, record); 2*rested > steps || steps < 3 {
		t.Errorf("%d of %d steps were followed by a rest while the log was long", rested, steps)
	}
}

// countPauses makes a backup, calls between after each step, and counts how many of the
// others rested for as long as they had to, at least. A slow machine makes that more.
func countPauses(t *testing.T, s *db.Store, between func()) (rested, steps int) {
	t.Helper()
	var began, synced time.Time
	sync := db.SetSync(nil)
	defer func() { db.SetSync(sync) }()
	db.SetSync(func(f *os.File) error {
		defer func() { synced = time.Now() }()
		return sync(f)
	})
	place := filepath.Join(t.TempDir(), "backup.db")
	rows, err := backup.Create(context.Background(), s, place, schema(t), func(done, total int64) {
		if !began.IsZero() {
			steps++
			if took := synced.Sub(began); took > 0 && time.Since(synced) >= db.IdlePause(took) {
				rested++
			}
		}
		between()
		began = time.Now()
	})
	if err != nil || rows["report"] < 6_002 {
		t.Fatalf("backed up %v, %v", rows, err)
	}
	return rested, steps
}
