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

var images = flag.Int("images", unlessRace(150, 4), "how many states that a power cut may leave are looked at")

// unlessRace is the first number, or the second where the race detector makes all
// of SQLite slow.
func unlessRace(n, slow int) int {
	if race {
		return slow
	}
	return n
}

// maxImages is how many of them are taken of one life at most.
const maxImages = 250

// skipRace leaves a test to those who run it without the race detector: make test does
// both.
func skipRace(t *testing.T) {
	if race {
		t.Skip("the race detector makes it slow, and has nothing to find in it")
	}
}

// Wherever in a store's life power fails, and whatever of that which was not synced
// reaches the disk: the store opens, has every report that was acknowledged, once,
// and its figures are those of its log.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	var all tally
	each := min(maxImages, (*images+1)/2) // there are two ways in which lives begin
	for left, seed := *images, uint64(1); left > 0; left, seed = left-each, seed+1 {
		all.cutPower(t, seed, min(left, each), nil)
	}
	t.Logf("%d images, %d acknowledged reports in them: %d lost; %d images do not open", all.images.Load(), all.reports.Load(), all.lost.Load(), all.unopened.Load())
	if all.reports.Load() == 0 {
		t.Error("nothing was acknowledged")
	}
}

// The control: a store that does not wait for the disk loses what it has
// acknowledged, and the same way of looking finds that.
func TestPowerCutControl(t *testing.T) {
	skipRace(t)
	t.Parallel()
	all := tally{control: true}
	all.cutPower(t, 1, 60, (*db.Writer).DisableSync)
	t.Logf("%d images, %d acknowledged reports in them: %d lost", all.images.Load(), all.reports.Load(), all.lost.Load())
	if all.lost.Load() == 0 {
		t.Error("with synchronous = NORMAL nothing was lost: this test would not find a loss")
	}
}

// tally adds up verdicts.
type tally struct {
	control                         bool // losses are no errors
	images, reports, lost, unopened atomic.Int64
	failed, hit, refused            atomic.Int64 // operations of a disk, lives with one, and reports
}

// cut lives one life, and cuts its power in n places.
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
	var judging sync.WaitGroup
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range n {
		at := (i*l.disk.Len() + random.IntN(l.disk.Len())) / n
		replay.To(at, e.applyMark)
		folder := filepath.Join(t.TempDir(), "image")
		if err := errors.Join(os.Mkdir(folder, 0o700), replay.Image(folder)); err != nil {
			t.Fatal(err)
		}
		frozen := e.clone()
		turn <- struct{}{}
		judging.Go(func() {
			defer func() { <-turn }()
			v := frozen.verify(folder)
			all.add(frozen, v)
			if err := v.err(); err != nil && !all.control {
				t.Errorf("life %d, image %d, after %d of %d operations: %v", seed, i, at, l.disk.Len(), err)
			}
			os.RemoveAll(folder)
		})
	}
	judging.Wait()
}

func (all *tally) add(e *expected, v verdict) {
	all.images.Add(1)
	all.lost.Add(int64(v.lost))
	if v.unopened != nil {
		all.unopened.Add(1)
	}
	for id, n := range e.acknowledged {
		if !e.removable[id] {
			all.reports.Add(int64(n))
		}
	}
}
