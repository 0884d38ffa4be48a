package simulate

import (
	"context"
	"iter"
	"time"

	"relcheck/checker"
	"relcheck/checker/stats/fleet"
	"relcheck/db"
)

// Past is what a fleet tells in some days, for a store to record as if it had
// been told all the while.
type Past struct {
	fleet.Fleet
	Product string
	Until   time.Time // what it would tell later is left out
	// Progress, if not nil, is called with each day that begins.
	Progress func(day, days int64)
}

// Fill records the reports and checks, and returns how many reports they are. It
// does not fold them. The error wraps [db.ErrInUse] while another process records
// into a SQLite file. After an error, some may be there.
func (p Past) Fill(ctx context.Context, s *db.Store) (reports int64, err error) {
	return s.Backfill(ctx, p.Product, p.reports(), p.checks())
}

// Publish lets a store know of the fleet's releases.
func (p Past) Publish(ctx context.Context, s *db.Store) error {
	known := func(stored, _ checker.Release) checker.Release { return stored }
	if _, err := s.PutReleases(ctx, p.Product, p.Releases(), known); err != nil {
		return err
	}
	for _, r := range p.Releases() {
		if r.Withdrawn {
			if err := s.Withdraw(ctx, p.Product, r.Version, true); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p Past) reports() iter.Seq[db.Recorded] {
	return func(yield func(db.Recorded) bool) {
		days, day, until := p.Range(), int64(-1), p.Until.Unix()
		for r := range p.Reports() {
			if now := r.At/(24*60*60) - int64(days.From); now != day && p.Progress != nil {
				day = now
				p.Progress(day, int64(days.Days()))
			}
			report := checker.Report{ID: r.ID, Version: r.Build.Version, HeapUsageBytes: r.Heap}
			if r.At >= until || !yield(db.Recorded{At: time.Unix(r.At, 0), Platform: r.Build.Platform, Report: report}) {
				return
			}
		}
	}
}

func (p Past) checks() iter.Seq[db.Checked] {
	return func(yield func(db.Checked) bool) {
		for c := range p.Checks() {
			if !yield(db.Checked{Day: c.Day.Time(), Version: c.Build.Version, Platform: c.Build.Platform, Count: c.Count}) {
				return
			}
		}
	}
}
