package db_test

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"relcheck/db"
)

var images = flag.Int("images", unlessRace(60, 4), "number of states after a power cut that are verified")

// unlessRace returns n, or slow if the race detector slows down SQLite.
func unlessRace(n, slow int) int {
	if race {
		return slow
	}
	return n
}

// maxImages is the maximum number of images of one lifecycle.
const maxImages = 250

// skipRace skips a test under the race detector. make check runs it without the detector.
func skipRace(t *testing.T) {
	if race {
		t.Skip("slow with the race detector, which has nothing to find in it")
	}
}

// The power may fail at any point of a lifecycle, with any part of the unsynced data on the
// disk. The store opens, contains every acknowledged report once, and its statistics and counts of
// installations agree with its reports.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	var all tally
	each := min(maxImages, (*images+1)/2) // at least one lifecycle with each schema
	for left, seed := *images, uint64(1); left > 0; left, seed = left-each, seed+1 {
		all.cutPower(t, seed, min(left, each), nil)
	}
	t.Logf("%d images with %d acknowledged reports: %d lost; %d images do not open", all.images.Load(), all.reports.Load(), all.lost.Load(), all.unopened.Load())
	if all.reports.Load() == 0 {
		t.Error("got no acknowledged report, want some")
	}
}

// The control: a store that does not wait for the disk loses acknowledged reports, and the test
// notices it.
func TestPowerCutControl(t *testing.T) {
	skipRace(t)
	t.Parallel()
	all := tally{control: true}
	all.cutPower(t, 1, 60, (*db.Writer).DisableSync)
	t.Logf("%d images with %d acknowledged reports: %d lost", all.images.Load(), all.reports.Load(), all.lost.Load())
	if all.lost.Load() == 0 {
		t.Error("got no lost report with synchronous = NORMAL, want some")
	}
}

// tally is the sum of verdicts.
type tally struct {
	control                         bool // losses are expected
	images, reports, lost, unopened atomic.Int64
	failed, faulty, refused         atomic.Int64 // numbers of disk operations, lifecycles with one, and reports
}

// cutPower runs a lifecycle and verifies its state after a power cut at n points.
func (all *tally) cutPower(t *testing.T, seed uint64, n int, prepare func(*db.Writer) error) {
	l, err := newLifecycle(t, seed)
	if err != nil {
		t.Fatal(err)
	}
	l.prepare = prepare
	for _, p := range phases {
		if err := p.run(l); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
	}
	random := rand.New(rand.NewPCG(seed, 2))
	replay, e := l.disk.Replay(random), l.expected()
	var wg sync.WaitGroup
	semaphore := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range n {
		at := (i*l.disk.Len() + random.IntN(l.disk.Len())) / n
		replay.To(at, e.applyMark)
		folder := filepath.Join(t.TempDir(), "image")
		if err := errors.Join(os.Mkdir(folder, 0o700), replay.Image(folder)); err != nil {
			t.Fatal(err)
		}
		frozen := e.clone()
		semaphore <- struct{}{}
		wg.Go(func() {
			defer func() { <-semaphore }()
			v := frozen.verify(folder)
			all.add(frozen, v)
			if err := v.err(); err != nil && !all.control {
				t.Errorf("lifecycle %d, image %d, after %d of %d operations: %v", seed, i, at, l.disk.Len(), err)
			}
			os.RemoveAll(folder)
		})
	}
	wg.Wait()
}

func (all *tally) add(e *expected, v verdict) {
	all.images.Add(1)
	all.lost.Add(int64(v.lost))
	if v.openErr != nil {
		all.unopened.Add(1)
	}
	for id, n := range e.acknowledged {
		if !e.removable[id] {
			all.reports.Add(int64(n))
		}
	}
}
