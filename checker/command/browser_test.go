package command_test

import (
	"context"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
	"relcheck/db"
)

// knownFleet is what the browser is shown: some 300 ids a day at its end, today.
func knownFleet() fleet.Fleet {
	return fleet.Fleet{Seed: 7, Instances: 300, Every: 8 * time.Hour, End: stats.DayOf(time.Now())}
}

// fill makes a store with the reports of a fleet, and their statistics.
func fill(t testing.TB, file string, f fleet.Fleet) {
	t.Helper()
	ctx := context.Background()
	s, err := db.Open(ctx, file, schemaText(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.PutReleases(ctx, "opa", f.Releases(), func(_, given checker.Release) checker.Release { return given })
	if err == nil {
		_, err = s.Backfill(ctx, "opa", recorded(f), checked(f))
	}
	if err == nil {
		_, err = s.Fold(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func recorded(f fleet.Fleet) func(func(db.Recorded) bool) {
	return func(yield func(db.Recorded) bool) {
		now := time.Now().Unix()
		for r := range f.Reports() {
			report := checker.Report{ID: r.ID, Version: r.Build.Version, HeapUsageBytes: r.Heap}
			if r.At < now && !yield(db.Recorded{At: time.Unix(r.At, 0), Platform: r.Build.Platform, Report: report}) {
				return
			}
		}
	}
}

func checked(f fleet.Fleet) func(func(db.Checked) bool) {
	return func(yield func(db.Checked) bool) {
		for c := range f.Checks() {
			if !yield(db.Checked{Day: c.Day.Time(), Version: c.Build.Version, Platform: c.Build.Platform, Count: c.Count}) {
				return
			}
		}
	}
}
