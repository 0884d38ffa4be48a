package db_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"relcheck/db"
	"relcheck/db/faultfs"
)

var failures = flag.Int("failures", unlessRace(24, 4), "number of disk operations that are made to fail")

// faults are the operations that fail, with the error codes that SQLite may get. Kinds that are
// listed twice are tested twice as often.
var faults = []struct {
	kind  faultfs.Kind
	codes []int32
}{
	{faultfs.Write, []int32{sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_FULL}},
	{faultfs.Sync, []int32{sqlite3.SQLITE_IOERR_FSYNC}},
	{faultfs.Write, []int32{sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE}},
	{faultfs.Sync, []int32{sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_FULL}},
	{faultfs.Read, []int32{sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}},
	{faultfs.Truncate, []int32{sqlite3.SQLITE_IOERR_TRUNCATE, sqlite3.SQLITE_FULL}},
	{faultfs.Delete, []int32{sqlite3.SQLITE_IOERR_DELETE}},
	{faultfs.Open, []int32{sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}},
}

// Any operation of a store may fail once, or all from then on until the disk recovers. No
// acknowledged report is lost, even if the power fails later, and the store continues without
// a restart.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	all := failDisk(t, *failures, nil)
	t.Logf("%d operations failed, in %d of %d runs; %d reports acknowledged, %d refused: %d lost; %d of %d stores do not open",
		all.failed.Load(), all.faulty.Load(), *failures, all.reports.Load(), all.refused.Load(), all.lost.Load(), all.unopened.Load(), all.images.Load())
	if all.faulty.Load() < int64(*failures)*3/4 || all.refused.Load() == 0 {
		t.Errorf("got faults in %d runs and %d refused reports, want faults in at least %d and some refused", all.faulty.Load(), all.refused.Load(), *failures*3/4)
	}
}

// The control: a writer that ignores errors loses acknowledged reports.
func TestFailingDiskControl(t *testing.T) {
	skipRace(t)
	t.Parallel()
	all := failDisk(t, 16, func(w *db.Writer) error {
		w.IgnoreErrors()
		return nil
	})
	t.Logf("%d reports acknowledged: %d lost", all.reports.Load(), all.lost.Load())
	if all.lost.Load() == 0 {
		t.Error("got no lost report from a writer that ignores errors, want some")
	}
}

// failDisk runs a number of lifecycles with a fault in each. They run concurrently because
// most of the time a writer waits before it retries.
func failDisk(t *testing.T, lives int, prepare func(*db.Writer) error) *tally {
	intact, err := newLifecycle(t, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range phases {
		if err := p.run(intact); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
	}
	all := &tally{control: prepare != nil}
	var wg sync.WaitGroup
	semaphore := make(chan struct{}, 12)
	for i := 0; all.faulty.Load() < int64(lives) && i < 2*lives; i++ { // some faults come after the last operation
		random := rand.New(rand.NewPCG(uint64(i), 3))
		kind := faults[i%len(faults)]
		f := faultfs.Fault{
			Kind: kind.kind, Nth: 1 + random.IntN(intact.disk.Count(kind.kind)), Code: kind.codes[random.IntN(len(kind.codes))],
			Done: faultfs.Part(random.IntN(3)), Persistent: random.IntN(2) == 0,
		}
		l, err := newLifecycle(t, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		l.prepare = prepare
		images := t.TempDir()
		semaphore <- struct{}{}
		wg.Go(func() {
			defer func() { <-semaphore }()
			if err := all.fail(l, f, random, images); err != nil && !all.control {
				t.Errorf("run %d, %+v: %v", i, f, err)
			}
		})
	}
	wg.Wait()
	return all
}

// fail runs a lifecycle with a fault. It verifies the store at the end, and two images of it
// from after a power cut that followed the fault.
func (all *tally) fail(l *lifecycle, f faultfs.Fault, random *rand.Rand, images string) error {
	l.disk.Inject(f)
	before := 0 // operations
	for _, p := range phases {
		at := l.disk.Len()
		err := p.run(l)
		if l.disk.Failed() > 0 && before == 0 {
			before = at
		}
		if err != nil {
			err = l.retry(p.run, f, err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	failed := l.disk.ClearFault()
	all.failed.Add(int64(failed))
	if failed > 0 {
		all.faulty.Add(1)
	}
	all.refused.Add(int64(l.refused))
	replay, e := l.disk.Replay(random), l.expected()
	for i, share := range []float64{random.Float64(), 1} {
		replay.To(before+int(share*float64(l.disk.Len()-before)), e.applyMark)
		folder := filepath.Join(images, fmt.Sprint(i))
		if err := errors.Join(os.Mkdir(folder, 0o700), replay.Image(folder)); err != nil {
			return err
		}
		v := e.verify(folder)
		all.add(e, v)
		if err := v.err(); err != nil {
			return fmt.Errorf("power cut at %d of %d: %w", replay.Position(), l.disk.Len(), err)
		}
	}
	v := e.verify(l.folder)
	all.add(e, v)
	return v.err()
}

// retry repeats a phase that failed, on a recovered disk.
func (l *lifecycle) retry(phase func(*lifecycle) error, f faultfs.Fault, err error) error {
	if l.disk.Failed() == 0 {
		return err // not caused by the fault
	}
	if f.Persistent && l.w != nil && l.lastRefused {
		if err := l.checkUnready(f); err != nil {
			return err
		}
	}
	l.disk.ClearFault()
	if err := l.awaitReady(); err != nil {
		return err
	}
	return phase(l)
}

// checkUnready checks that a writer whose commits keep failing stays unready.
func (l *lifecycle) checkUnready(f faultfs.Fault) error {
	if f.Kind != faultfs.Write && f.Kind != faultfs.Sync {
		return nil // commits do not need this operation
	}
	for range 3 {
		if l.w.Ready() == nil {
			return errors.New("the writer is ready while the disk fails")
		}
		time.Sleep(500 * time.Millisecond)
	}
	return nil
}

func (l *lifecycle) awaitReady() error {
	for deadline := time.Now().Add(30 * time.Second); l.w != nil && l.w.Ready() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("the writer is not ready on a recovered disk: %w", l.w.Ready())
		}
	}
	return nil
}
