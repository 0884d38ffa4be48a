package simulate_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"relcheck/checker/simulate"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// The days before the first one are not recorded, but installations remember their answers.
func TestBackfillBefore(t *testing.T) {
	schema, err := os.ReadFile("../../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	for before, want := range map[int][2]float64{0: {0.9, 1}, 40: {0.02, 0.3}} {
		ctx := context.Background()
		s, err := db.Open(ctx, filepath.Join(t.TempDir(), "relcheck.db"), string(schema))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		f := fleet.Fleet{Seed: 4, Days: 3, Instances: 400, Growth: 1, Every: 12 * time.Hour, Remember: 0.5}
		days := f.Range()
		past := simulate.Backfill{Fleet: f, Product: "opa", Until: (days.To + 1).Time(), Before: before}
		progress := []int64{}
		past.Progress = func(day, days int64) { progress = append(progress, day, days) }
		if err := past.Publish(ctx, s); err != nil {
			t.Fatal(err)
		}
		_, err = past.Run(ctx, s)
		if err == nil {
			_, err = s.Fold(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		totals, err := s.Totals(ctx, "opa", days, func(rollup.Build) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		var first rollup.Installations
		for _, b := range totals.Builds {
			for _, n := range b.Installations {
				if n.Day == days.From {
					first.Add(n.Installations)
				}
			}
		}
		if share := float64(first.New) / float64(first.Daily); totals.Known != days || share < want[0] || share > want[1] {
			t.Errorf("%d days before: got days %v with %d new of %d installations on the first one, want days %v with shares of new ones between %v", before, totals.Known, first.New, first.Daily, days, want)
		}
		if len(progress) != 6 || progress[0] != 0 || progress[4] != 2 || progress[5] != 3 {
			t.Errorf("%d days before: got progress %v, want that of 3 days", before, progress)
		}
	}
}
