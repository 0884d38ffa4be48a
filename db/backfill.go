package db

import (
	"context"
	"fmt"
	"iter"
	"time"

	"relcheck/checker"
)

// backfillPage is how many reports of the past are written in one transaction.
const backfillPage = 8192

// Checked is how often a build was asked about without an id, on a day.
type Checked struct {
	Day      time.Time
	Version  string
	Platform checker.Platform
	Count    int64
}

// Empty reports whether nothing was ever reported of any product, nor asked.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	var told bool
	err := s.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM build)").Scan(&told)
	return !told, s.explain(err)
}

// Backfill records reports and checks of the past, as if they had come in at
// their time. They have to come in the order of it. A SQLite file must not have a
// writer meanwhile: the error wraps [ErrInUse]. It returns how many reports were
// recorded; after an error, some may be.
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
		for _, lost := range b.entryErrs {
			err = lost
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
		b.entries = append(b.entries, entry{buildKey{product, p.Version, p.Platform}, p.ID, p.HeapUsageBytes, at.Unix()})
	}
	if err := flush(); err != nil {
		return n, err
	}
	return n, backfillChecks(r, product, checks)
}

// backfillChecks writes those of a day in one transaction.
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
