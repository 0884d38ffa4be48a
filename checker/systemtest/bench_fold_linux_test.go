package systemtest

import (
	"math/rand/v2"
	"path/filepath"
	"time"

	"relcheck/checker"
	"relcheck/checker/simulate"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// foldsAtLeast is how many times as fast as reports arrive they must be folded, so that a
// server can catch up and has time for other work.
const foldsAtLeast = 5

// folding measures how many reports a second are folded from the log of a day: of a large
// fleet that reports every hour, and of reports that all have different instance IDs, as
// an attacker would send them.
func (b *bench) folding(durableRate float64) {
	b.logProgress("folding")
	const again, new = "fold, ids that repeat", "fold, every id a new one"
	measured := b.alternate(3, trial{again, func() sample { return b.fold(false) }}, trial{new, func() sample { return b.fold(true) }})
	for _, name := range []string{again, new} {
		rate := measured.median(name, rateOf)
		b.add(row{name: name, figure: rate, unit: "reports/s", ratio: rate / durableRate, least: foldsAtLeast, note: "to durable reports, 256 connections"})
	}
}

// fold fills a store with a day's reports of a fleet and folds them.
func (b *bench) fold(newIDs bool) sample {
	yesterday := rollup.DayOf(time.Now()) - 1
	const each = 10 // reports per instance, approximately
	f := simulate.Fleet(1, *benchLog/10/each, simulate.Releases(1, yesterday))
	f.Days, f.End, f.Every = 1, yesterday, time.Hour
	s := b.open(filepath.Join(b.TempDir(), "log.db"))
	defer s.Close()
	if err := (simulate.Backfill{Fleet: f, Product: "opa"}).Publish(b.Context(), s); err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	b.fill(s, func(yield func(db.Recorded) bool) {
		for r := range f.Reports() {
			if newIDs {
				r.ID = randomID(random)
			}
			report := checker.Report{ID: r.ID, Version: r.Build.Version, HeapUsageBytes: r.Heap}
			if !yield(db.Recorded{At: time.Unix(r.At, 0), Platform: r.Build.Platform, Report: report}) {
				return
			}
		}
	})
	begin := time.Now()
	return sample{rate: float64(b.foldAll(s)) / time.Since(begin).Seconds()}
}

func (b *bench) open(file string) *db.Store {
	s, err := db.Open(b.Context(), file, readSchema())
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func (b *bench) fill(s *db.Store, reports func(func(db.Recorded) bool)) {
	if _, err := s.Backfill(b.Context(), "opa", reports, func(func(db.Checked) bool) {}); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) foldAll(s *db.Store) (reports int64) {
	reports, err := s.Fold(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return reports
}
