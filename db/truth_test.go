package db_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
	"relcheck/db"
	"relcheck/db/pgtest"
)

// TestStatisticsAreTrue records what a known fleet tells in 400 days, and compares
// the answers to every question with the truth.
func TestStatisticsAreTrue(t *testing.T) {
	small := fleet.Fleet{Seed: 21, Instances: 40, Every: 6 * time.Hour}
	large := fleet.Fleet{Seed: 22, Instances: 3000, Growth: 20, Every: 12 * time.Hour}
	if testing.Short() || race {
		large.Instances, large.Days = 600, 120
	}
	for engine, place := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "a.db") },
		"PostgreSQL": func(t *testing.T) string { return pgtest.Database(t) },
	} {
		t.Run(engine, func(t *testing.T) {
			for name, f := range map[string]fleet.Fleet{"small": small, "large": large} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					statisticsAreTrue(t, open(t, place(t)), f)
				})
			}
		})
	}
}

func statisticsAreTrue(t *testing.T, s *db.Store, f fleet.Fleet) {
	populate(t, s, f)
	var wg sync.WaitGroup
	for range 2 { // as by two servers
		wg.Go(func() {
			if _, err := s.Fold(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ctx := context.Background()
	catalog, err := s.Catalog(ctx)
	if err != nil {
		t.Fatal(err)
	}
	listing := catalog.Products[slices.IndexFunc(catalog.Products, func(l checker.Listing) bool { return l.Name == "opa" })]
	log, today := f.Log(), f.Range().To
	for _, q := range []stats.Query{
		{Range: f.Range().Last(1)},
		{Range: f.Range().Last(7), Filter: stats.Filter{Arch: "arm64"}},
		{Range: f.Range().Last(28), Above: 100 << 20},
		{Range: f.Range().Last(90), Filter: stats.Filter{OS: "linux"}, Compare: [2]string{"1.0.0", "v1.1.0"}},
		{Range: f.Range().Last(365), Below: "v1.1.0"},
		{Range: f.Range().Last(365), Filter: stats.Filter{Version: "v1.1"}},
		{Range: stats.Range{From: today - 60, To: today - 33}},
	} {
		figures, err := s.Figures(ctx, "opa", q.Range, q.Keeps)
		if err != nil {
			t.Fatal(err)
		}
		view := stats.NewView(listing, q, figures, today)
		differences := fleet.Compare(view.Tables(), log.NewTruth(q, today))
		for _, d := range differences[:min(5, len(differences))] {
			t.Errorf("%v %+v: %s", q.Range, q.Filter, d)
		}
	}
}
