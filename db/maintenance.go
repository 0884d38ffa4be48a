package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"relcheck/checker/stats/rollup"
)

const (
	// foldEvery is how often new reports are folded into rollups, more or less:
	// servers that share a store had better not all do it in the same moment.
	foldEvery = 5 * time.Second
	// sweepEvery is how often what was kept for long enough is removed.
	sweepEvery = time.Hour
)

// Retention is how long a store keeps what it was told. Zero means for ever.
type Retention struct {
	Reports time.Duration // single reports, once they are folded into rollups
	Rollups time.Duration // rollups and counts of checks; to the whole four weeks
	Clock   Clock         // what decides how old they are
}

// Maintain folds new reports and keeps SQLite's log small every few seconds, and
// removes what is older than keep says every hour, until ctx ends. Beside that it
// removes what was recorded of products that are gone, which may take long.
func (s *Store) Maintain(ctx context.Context, keep Retention, log *slog.Logger) {
	var removing sync.WaitGroup
	removing.Go(func() { s.keepRemoving(ctx, log) })
	defer removing.Wait()
	fold := errorLog{log: log, what: "cannot fold reports into statistics; they are kept, and folded as soon as possible"}
	sweep := errorLog{log: log, what: "cannot remove what was kept for long enough"}
	trim := errorLog{log: log, what: "cannot keep the store small"}
	sweeper := sweeper{store: s, keep: keep, log: log}
	for {
		_, err := s.Fold(ctx)
		fold.report(ctx, err)
		sweep.report(ctx, sweeper.sweep(ctx))
		trim.report(ctx, s.explain(s.truncateWAL(ctx, s.readMu)))
		select {
		case <-ctx.Done():
			return
		case <-time.After(foldEvery/2 + rand.N(foldEvery)):
		}
	}
}

func (s *Store) keepRemoving(ctx context.Context, log *slog.Logger) {
	remove := errorLog{log: log, what: "cannot remove all that is left of a removed product or a killed import; trying again"}
	for {
		remove.report(ctx, errors.Join(s.finishRemovals(ctx), s.removeStages(ctx)))
		select {
		case <-ctx.Done():
			return
		case <-time.After(foldEvery/2 + rand.N(foldEvery)):
		}
	}
}

// trouble logs one that goes on only once in a while.
type errorLog struct {
	log      *slog.Logger
	what     string
	loggedAt time.Time
}

func (t *errorLog) report(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && time.Since(t.loggedAt) >= logPause {
		t.loggedAt = time.Now()
		t.log.Error(t.what, "err", err)
	}
}

// due reports whether it is an hour since a server of the store has removed what was
// kept for long enough, and when that was.
func (s *Store) due(ctx context.Context, now time.Time) (last int64, due bool, err error) {
	last, err = setting(ctx, s.read, "swept")
	since := now.Sub(time.Unix(last, 0))
	return last, err == nil && (since < 0 || since >= sweepEvery), s.explain(err)
}

// removeExpired removes what is older than keep says at a time, unless another server
// has begun to do so since the last time.
func (s *Store) removeExpired(ctx context.Context, keep Retention, now time.Time, last int64) error {
	res, err := s.main.ExecContext(ctx, "UPDATE setting SET value = $1 WHERE name = 'swept' AND value = $2", now.Unix(), last)
	if err != nil {
		return s.explain(err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	all, err := productNames(ctx, s.read)
	if err == nil && keep.Reports > 0 {
		err = noteExpired(ctx, s.main, now.Add(-keep.Reports))
	}
	if err != nil {
		return s.explain(err)
	}
	return errors.Join(s.expireGrants(ctx, now), s.explain(s.expire(ctx, all, keep, now)))
}

// noteExpired notes, before any of it is done, that reports from before a time are
// removed: the log tells no longer what rollups of those days should be.
func noteExpired(ctx context.Context, q querier, before time.Time) error {
	_, err := q.ExecContext(ctx, "UPDATE setting SET value = $1 WHERE name = 'expired' AND value < $1", before.Unix())
	return err
}

// expire removes what is too old. What cannot be done for one product does not
// keep it from being done for the others.
func (s *Store) expire(ctx context.Context, all []product, keep Retention, now time.Time) error {
	var errs []error
	for i, p := range all {
		var err error
		if keep.Reports > 0 && (i == 0 || s.logByProduct()) {
			err = s.expireReports(ctx, p.id, now.Add(-keep.Reports))
		}
		if keep.Rollups > 0 {
			err = errors.Join(err, s.expireRollups(ctx, p.id, rollup.FourWeeks.Start(rollup.DayOf(now.Add(-keep.Rollups)))))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("product %s: %w", p.Name, err))
		}
	}
	return errors.Join(errs...)
}

// SetClientsHidden notes for doctor whether all requests seem to come by a proxy that
// the server does not trust.
func (s *Store) SetClientsHidden(ctx context.Context, hidden bool) error {
	value := int64(0)
	if hidden {
		value = 1
	}
	if now, err := setting(ctx, s.read, "proxy"); err != nil || now == value {
		return s.explain(err)
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE setting SET value = $1 WHERE name = 'proxy'", value)
		return err
	})
}
