package db_test

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
)

// Concurrent reads return the same totals as single ones: they reuse buffers, but never share
// them at the same time.
func TestConcurrentReads(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relcheck.db"))
	populate(t, s, fleet.Fleet{Seed: 7, Days: 70, End: today, Instances: unlessRace(200, 20), Every: 12 * time.Hour})
	fold(t, s)
	var want []*rollup.Totals
	for _, days := range []int{1, 7, 28, 60} {
		want = append(want, readTotals(t, s, days))
	}
	var wg sync.WaitGroup
	for _, f := range want {
		for range 2 {
			wg.Go(func() {
				for range unlessRace(20, 8) {
					got, err := s.Totals(t.Context(), "opa", f.Range, allBuilds)
					if err != nil {
						t.Error(err)
						return
					}
					checkTotals(t, "totals of a concurrent read", got, f)
				}
			})
		}
	}
	wg.Wait()
}
