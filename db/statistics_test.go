package db_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/stats/statstest"
	"relcheck/db"
)

// TestStatisticsAreCorrect records 400 days of reports of a simulated fleet, and compares the
// results of queries with results that are computed from the fleet itself.
func TestStatisticsAreCorrect(t *testing.T) {
	skipRace(t)
	small := fleet.Fleet{Seed: 21, Instances: 40, Every: 6 * time.Hour, Remember: 0.5}
	large := fleet.Fleet{Seed: 22, Instances: 1500, Growth: 20, Every: 24 * time.Hour, Remember: 0.3}
	if testing.Short() {
		large.Instances = 300
	}
	fleets := map[string]fleet.Fleet{"small": small, "large": large}
	if race { // make check also runs this test without the detector
		delete(fleets, "large")
	}
	for size, f := range fleets {
		truths := sync.OnceValue(func() []truth { return newTruths(f) })
		for engine, newStore := range engines {
			t.Run(size+", "+engine, func(t *testing.T) {
				t.Parallel()
				checkStatistics(t, open(t, newStore(t)), f, truths())
			})
		}
	}
}

// truth is the expected result of a query.
type truth struct {
	stats.Query
	*statstest.Truth
}

func newTruths(f fleet.Fleet) (all []truth) {
	log, today := statstest.NewLog(f), f.Range().To
	for _, q := range []stats.Query{
		{Range: f.Range().Last(1)},
		{Range: f.Range().Last(7), Filter: stats.Filter{Arch: "arm64"}},
		{Range: f.Range().Last(28), Above: 100 << 20},
		{Range: f.Range().Last(90), Filter: stats.Filter{OS: "linux"}, Compare: [2]string{"1.0.0", "v1.1.0"}},
		{Range: f.Range().Last(365), Below: "v1.1.0"},
		{Range: rollup.Range{From: today - 60, To: today - 33}, Filter: stats.Filter{Version: "v1.1"}},
	} {
		all = append(all, truth{q, log.NewTruth(q, today)})
	}
	return all
}

func checkStatistics(t *testing.T, s *db.Store, f fleet.Fleet, truths []truth) {
	populate(t, s, f)
	var wg sync.WaitGroup
	for range 2 { // as two servers do
		wg.Go(func() {
			if _, err := s.Fold(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ctx := context.Background()
	changes, err := s.Changes(ctx, catalog.Revision{})
	if err != nil {
		t.Fatal(err)
	}
	listing := changes.Products[slices.IndexFunc(changes.Products, func(l catalog.Listing) bool { return l.Name == "opa" })]
	for _, truth := range truths {
		figures, err := s.Totals(ctx, "opa", truth.Range, truth.Keeps(listing.Scheme()))
		if err != nil {
			t.Fatal(err)
		}
		view := stats.NewView(listing.Product, listing.Rank(listing.Releases), truth.Query, figures, f.Range().To)
		differences := statstest.Compare(view.Tables(), truth.Truth)
		for _, d := range differences[:min(5, len(differences))] {
			t.Errorf("%s, %v %+v: %s", s.Name(), truth.Range, truth.Filter, d)
		}
	}
}
