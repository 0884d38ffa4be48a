package simulate

import (
	"context"
	"iter"
	"math"
	"slices"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/fleet"
	"relcheck/db"
)

// Backfill writes the past reports and checks of a fleet directly into a store, as if
// the store had recorded them at the time.
type Backfill struct {
	fleet.Fleet
	Product string
	Until   time.Time // later reports are left out
	// Before is the number of days before the first one that are simulated, but not recorded,
	// so that not all installations are new on the first day.
	Before int
	// Progress, if not nil, is called at the start of each day, with its index from 0 and
	// the number of days.
	Progress func(day, days int64)
}

// Run records the reports and checks, and returns the number of reports. It does not
// fold them. The error wraps [db.ErrInUse] if another process writes to the SQLite
// file. After an error, part of the reports may be in the store.
func (b Backfill) Run(ctx context.Context, s *db.Store) (reports int64, err error) {
	return s.Backfill(ctx, b.Product, b.reports(), b.checks())
}

// Publish adds the fleet's releases to a store.
func (b Backfill) Publish(ctx context.Context, s *db.Store) error {
	stored, err := s.Releases(ctx, b.Product)
	if err != nil {
		return err
	}
	added := slices.DeleteFunc(b.Releases(), func(r catalog.Release) bool {
		return slices.ContainsFunc(stored, func(s catalog.Release) bool { return s.Tag == r.Tag })
	})
	_, err = s.ImportReleases(ctx, b.Product, catalog.ListOf("simulation", added...), true)
	return err
}

func (b Backfill) reports() iter.Seq[db.Recorded] {
	return func(yield func(db.Recorded) bool) {
		days, day, until := b.Range(), int64(-1), b.Until.Unix()
		for r := range b.longer().Reports() {
			now := r.At/(24*60*60) - int64(days.From)
			if now < 0 {
				continue
			}
			if now != day && b.Progress != nil {
				day = now
				b.Progress(day, int64(days.Days()))
			}
			report := checker.Report{ID: r.ID, Version: r.Build.Version, HeapUsageBytes: r.Heap, Last: r.Last}
			if r.At >= until || !yield(db.Recorded{At: time.Unix(r.At, 0), Platform: r.Build.Platform, Report: report}) {
				return
			}
		}
	}
}

// longer returns the fleet with the days before the first one.
func (b Backfill) longer() fleet.Fleet {
	f := b.Fleet
	if b.Before > 0 {
		days := b.Range().Days()
		f.Days = days + b.Before
		f.Growth = math.Pow(f.Growth, float64(f.Days-1)/float64(max(1, days-1)))
	}
	return f
}

func (b Backfill) checks() iter.Seq[db.Checked] {
	return func(yield func(db.Checked) bool) {
		for c := range b.Checks() {
			if !yield(db.Checked{Day: c.Day.Time(), Version: c.Build.Version, Platform: c.Build.Platform, Count: c.Count}) {
				return
			}
		}
	}
}
