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

// While reports are recorded, a backup syncs and pauses after each step. It does not pause
// if no reports arrive, or if the WAL is so long that the backup might have to be aborted.
func TestBackupThrottle(t *testing.T) {
	path, s := newLargeStore(t)
	w := writer(t, s)
	defer w.Close()
	record := func() {
		if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
			t.Error(err)
		}
	}
	if paused, steps := countPauses(t, s, record); paused != steps || steps < 3 {
		t.Errorf("under load: got pauses after %d of %d steps, want all of at least 3", paused, steps)
	}
	if paused, steps := countPauses(t, s, func() {}); 2*paused > steps || steps < 3 {
		t.Errorf("without reports: got pauses after %d of %d steps, want at most half of at least 3", paused, steps)
	}
	for logSize(t, path) < 1<<20 {
		record()
	}
	defer db.SetMaxGrowth(db.SetMaxGrowth(logSize(t, path) * 3 / 2))
	if paused, steps := countPauses(t, s, record); 2*paused > steps || steps < 3 {
		t.Errorf("with a long WAL: got pauses after %d of %d steps, want at most half of at least 3", paused, steps)
	}
}

// countPauses makes a backup and calls between after each step. It returns the number of
// steps after the first one, and how many of them were followed by a pause of at least
// IdlePause. On a slow machine, some steps take that long without a pause.
func countPauses(t *testing.T, s *db.Store, between func()) (paused, steps int) {
	t.Helper()
	var began, synced time.Time
	sync := db.SetSync(nil)
	defer func() { db.SetSync(sync) }()
	db.SetSync(func(f *os.File) error {
		defer func() { synced = time.Now() }()
		return sync(f)
	})
	target := filepath.Join(t.TempDir(), "backup.db")
	rows, err := backup.Create(context.Background(), s, target, schema(t), func(done, total int64) {
		if !began.IsZero() {
			steps++
			if took := synced.Sub(began); took > 0 && time.Since(synced) >= db.IdlePause(took) {
				paused++
			}
		}
		between()
		began = time.Now()
	})
	if err != nil || rows["report"] < 6_002 {
		t.Fatalf("got rows %v (error %v), want at least 6,002 reports", rows, err)
	}
	return paused, steps
}
