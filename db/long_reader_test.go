package db_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"relcheck/checker/stats/rollup"
	"relcheck/db"
	"relcheck/db/faultfs"
)

// SQLite cannot restart the WAL while a transaction reads from it. Totals ends at a timeout,
// so that the WAL stays small. The control is another program that keeps reading: it lets the
// WAL grow. The WAL is truncated once it has finished.
func TestLongReader(t *testing.T) {
	skipRace(t)
	if _, err := faultfs.Watch(t.TempDir()); err != nil { // syncs do not wait for a disk there
		t.Fatal(err)
	}
	defer db.SetReadTimeout(db.SetReadTimeout(100 * time.Millisecond))
	const long = time.Second // much longer than the read timeout
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), lifecycleFile)
	s := open(t, path)
	w := writer(t, s)
	defer w.Close()
	sent := 0
	grow := func(during time.Duration) int64 {
		for end := time.Now().Add(during); ; {
			if _, err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
				t.Fatal(err)
			}
			if sent++; time.Now().After(end) {
				return logSize(t, path)
			}
		}
	}
	grow(0)
	fold(t, s)

	release, stopped := make(chan struct{}), make(chan error)
	go func() {
		_, err := s.Totals(ctx, "opa", rollup.Range{To: today}.Last(1), func(rollup.Build) bool {
			<-release
			return true
		})
		stopped <- err
	}()
	bounded := grow(long)
	close(release)
	if err := <-stopped; err == nil {
		t.Error("Figures: got no error after the timeout")
	}

	reader, err := raw(t, path).Begin()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := reader.QueryRow("SELECT count(*) FROM report").Scan(&n); err != nil {
		t.Fatal(err)
	}
	unbounded := grow(long)
	t.Logf("the WAL grew to %d KB with Figures, and to %d KB with another program that reads", bounded>>10, unbounded>>10)
	if bounded > unbounded/2 {
		t.Errorf("got a WAL of %d bytes with Figures, want at most half of the %d of the control", bounded, unbounded)
	}
	const large = 256 << 20 // TruncateWAL returns an error above this size
	for range 4 {           // a slow machine may not reach it
		if unbounded <= large {
			unbounded = grow(long / 2)
		}
	}
	if err := s.TruncateWAL(ctx); (err != nil) != (unbounded > large) || logSize(t, path) != unbounded {
		t.Errorf("TruncateWAL with a reader: got %d bytes (error %v), want %d and an error if that is more than %d", logSize(t, path), err, unbounded, large)
	}
	reader.Rollback()
	if err := s.TruncateWAL(ctx); err != nil || logSize(t, path) > 0 {
		t.Errorf("TruncateWAL: got %d bytes (error %v), want 0", logSize(t, path), err)
	}
	if n := len(recorded(t, s, "opa")); n != sent {
		t.Errorf("got %d reports, want %d", n, sent)
	}
}

func logSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
