package db

import (
	"context"
	"fmt"
	"iter"
	"time"

	"relcheck/checker"
)

const backfillPage = 8192

// Checked is the number of checks by a build on one day.
type Checked struct {
	Day      time.Time
	Version  string
	Platform checker.Platform
	Count    int64
}

// Empty reports whether the store has never recorded a report or check.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	used, err := queryValue[bool](ctx, s.read, "SELECT EXISTS (SELECT 1 FROM build)")
	return !used, s.explain(err)
}

// Backfill records past reports and checks with their own times, in whose order they
// must be. It returns the number of recorded reports; after an error, some may be
// recorded. The error wraps [ErrInUse] if a SQLite file has a writer.
func (s *Store) Backfill(ctx context.Context, product string, reports iter.Seq[Recorded], checks iter.Seq[Checked]) (n int64, err error) {
	r, err := s.newBatchWriter(s)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := r.close(); err == nil {
			err = e
		}
	}()
	b := newBatch(nil)
	var at time.Time
	flush := func() error {
		err := ctx.Err()
		if err == nil && len(b.entries) > 0 {
			err = r.write(b, nil, at)
		}
		for _, entryErr := range b.entryErrs {
			err = entryErr
		}
		if err != nil {
			return fmt.Errorf("record reports of %s: %w", product, err)
		}
		n += int64(len(b.entries))
		b.entries = b.entries[:0]
		return nil
	}
	for p := range reports {
		if len(b.entries) == backfillPage || p.At.Unix()/86400 != at.Unix()/86400 {
			if err := flush(); err != nil {
				return n, err
			}
		}
		at = p.At
		e := newEntry(product, p.Platform, &p.Report)
		e.at = at.Unix()
		b.entries = append(b.entries, e)
	}
	if err := flush(); err != nil {
		return n, err
	}
	return n, backfillChecks(r, product, checks)
}

// backfillChecks writes the checks of each day in one transaction.
func backfillChecks(r batchWriter, product string, checks iter.Seq[Checked]) error {
	var day time.Time
	counts := map[buildKey]int64{}
	flush := func() error {
		if len(counts) == 0 {
			return nil
		}
		if err := r.write(newBatch(nil), counts, day); err != nil {
			return fmt.Errorf("record checks of %s: %w", product, err)
		}
		clear(counts)
		return nil
	}
	for c := range checks {
		if !c.Day.Equal(day) {
			if err := flush(); err != nil {
				return err
			}
			day = c.Day
		}
		counts[buildKey{product, c.Version, c.Platform}] += c.Count
	}
	return flush()
}
