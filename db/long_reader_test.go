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

// SQLite's log cannot begin anew while somebody reads it. Whoever reads figures is
// stopped in time; the control, a reader of another kind, lets it grow. Once nobody
// reads any more, its space is given back.
func TestLongReader(t *testing.T) {
	skipRace(t)
	if _, err := faultfs.Watch(t.TempDir()); err != nil { // so that no disk is waited for
		t.Fatal(err)
	}
	defer db.SetReadTimeout(db.SetReadTimeout(100 * time.Millisecond))
	const long = time.Second // how much longer than a reading may take
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), lifecycleFile)
	s := open(t, path)
	w := writer(t, s)
	defer w.Close()
	all := 0
	grow := func(during time.Duration) int64 {
		for end := time.Now().Add(during); ; {
			if err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
				t.Fatal(err)
			}
			if all++; time.Now().After(end) {
				return logSize(t, path)
			}
		}
	}
	grow(0)
	fold(t, s)

	stuck, stopped := make(chan struct{}), make(chan error)
	go func() {
		_, err := s.Figures(ctx, "opa", rollup.Range{To: today}.Last(1), func(rollup.Build) bool {
			<-stuck
			return true
		})
		stopped <- err
	}()
	bounded := grow(long)
	close(stuck)
	if err := <-stopped; err == nil {
		t.Error("a reader that took long was let go on")
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
	t.Logf("the log grew to %d KB, and to %d KB beside another program that reads", bounded>>10, unbounded>>10)
	if bounded > unbounded/2 {
		t.Error("a reader was not stopped in time, or this is no test of it")
	}
	const large = 256 << 20 // from here on there is something to say
	for range 4 {           // unless the machine is too slow for that
		if unbounded <= large {
			unbounded = grow(long / 2)
		}
	}
	if err := s.TruncateWAL(ctx); (err != nil) != (unbounded > large) || logSize(t, path) != unbounded {
		t.Errorf("the log was emptied under a reader, or trouble kept for oneself: %v", err)
	}
	reader.Rollback()
	if err := s.TruncateWAL(ctx); err != nil || logSize(t, path) > 0 {
		t.Errorf("the log keeps %d bytes, %v", logSize(t, path), err)
	}
	if n := len(recorded(t, s, "opa")); n != all {
		t.Errorf("%d reports are there, want %d", n, all)
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
