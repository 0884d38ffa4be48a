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
	// foldEvery is the average interval between folds. It varies, so that servers that share
	// a store do not all fold at the same moment.
	foldEvery = 5 * time.Second
	// sweepEvery is the interval at which expired rows are removed.
	sweepEvery = time.Hour
)

// Retention is how long a store keeps its data. Zero means forever.
type Retention struct {
	Reports time.Duration // reports, which are removed only after they were folded
	Rollups time.Duration // rollups and counts of checks, in units of four weeks
	Clock   Clock         // decides how old they are
}

// Maintain folds new reports and truncates SQLite's WAL every few seconds, and removes
// expired rows every hour, until ctx ends. Concurrently it removes the data of removed
// products, which may take long.
func (s *Store) Maintain(ctx context.Context, keep Retention, log *slog.Logger) {
	var removing sync.WaitGroup
	removing.Go(func() { s.keepRemoving(ctx, log) })
	defer removing.Wait()
	fold := errorLog{log: log, what: "cannot add reports to the statistics; they are kept and will be added later"}
	sweep := errorLog{log: log, what: "cannot remove expired data"}
	trim := errorLog{log: log, what: "cannot truncate the write-ahead log"}
	sweeper := sweeper{store: s, keep: keep, log: log}
	for {
		_, err := s.Fold(ctx)
		fold.report(ctx, err)
		sweep.report(ctx, sweeper.sweep(ctx))
		trim.report(ctx, s.explain(s.truncateWAL(ctx, s.readMu)))
		if sleep(ctx, foldEvery/2+rand.N(foldEvery)) != nil {
			return
		}
	}
}

func (s *Store) keepRemoving(ctx context.Context, log *slog.Logger) {
	remove := errorLog{log: log, what: "cannot remove the rest of a removed product or site, or of a killed import; trying again"}
	for {
		remove.report(ctx, errors.Join(s.removeStages(ctx), s.finishRemovals(ctx), s.removeSites(ctx)))
		if sleep(ctx, foldEvery/2+rand.N(foldEvery)) != nil {
			return
		}
	}
}

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

// due returns when a server of the store last removed expired rows, and reports whether
// that was an hour ago or more.
func (s *Store) due(ctx context.Context, now time.Time) (last int64, due bool, err error) {
	last, err = setting(ctx, s.read, "swept")
	since := now.Sub(time.Unix(last, 0))
	return last, err == nil && (since < 0 || since >= sweepEvery), s.explain(err)
}

// removeExpired removes what has expired, unless another server has begun to do so since
// last.
func (s *Store) removeExpired(ctx context.Context, keep Retention, now time.Time, last int64) error {
	n, err := update(ctx, s.main, "UPDATE setting SET value = $1 WHERE name = 'swept' AND value = $2", now.Unix(), last)
	if err != nil || n == 0 {
		return s.explain(err)
	}
	all, err := productNames(ctx, s.read)
	if err == nil && keep.Reports > 0 {
		err = setExpired(ctx, s.main, now.Add(-keep.Reports))
	}
	if err != nil {
		return s.explain(err)
	}
	return errors.Join(s.expireGrants(ctx, now), s.expireNetworkCounts(ctx, now), s.explain(s.expire(ctx, all, keep, now)))
}

// setExpired records, before the first of them is removed, that reports from before a time
// are removed. Rollups of those days can no longer be compared with the log.
func setExpired(ctx context.Context, q querier, before time.Time) error {
	_, err := q.ExecContext(ctx, "UPDATE setting SET value = $1 WHERE name = 'expired' AND value < $1", before.Unix())
	return err
}

// expire removes what has expired. After an error it goes on with the next product.
func (s *Store) expire(ctx context.Context, all []product, keep Retention, now time.Time) error {
	var errs []error
	for i, p := range all {
		var err error
		if keep.Reports > 0 && (i == 0 || s.logByProduct) {
			err = s.removeReports(ctx, p.id, now.Add(-keep.Reports).Unix(), s.productCond, isFolded) // of all products in SQLite
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

// SetClientsHidden records for doctor whether all requests seem to come through a proxy
// that the server does not trust.
func (s *Store) SetClientsHidden(ctx context.Context, hidden bool) error {
	value := int64(0)
	if hidden {
		value = 1
	}
	if now, err := setting(ctx, s.read, "proxy"); err != nil || now == value {
		return s.explain(err)
	}
	_, err := s.update(ctx, "UPDATE setting SET value = $1 WHERE name = 'proxy'", value)
	return err
}

const isFolded = ` AND EXISTS
	(SELECT 1 FROM mark WHERE mark.product = report.product AND mark.node = report.seq >> 40 AND mark.seq >= report.seq)`

// removeReports removes the reports from before a time that match a condition. It reads
// the log in pages, selected by pageCond, because after a wrong clock it is not ordered by
// time. It finds the end of a page before the transaction, because SQLite may have to read
// the reports of other products for it.
func (s *Store) removeReports(ctx context.Context, product, before int64, pageCond, cond string) error {
	for after := int64(0); ; {
		var end, oldest sql.NullInt64
		err := s.read.QueryRowContext(ctx, "SELECT MAX(seq), MIN(at) FROM (SELECT seq, at FROM report WHERE "+pageCond+
			" seq > $2 ORDER BY seq LIMIT $3) AS page", product, after, removalPage).Scan(&end, &oldest)
		if err != nil || !end.Valid {
			return err
		}
		if oldest.Int64 < before {
			err = s.inTx(ctx, func(tx *sql.Tx) error {
				n, err := update(ctx, tx, "DELETE FROM report WHERE "+pageCond+" seq > $2 AND seq <= $3 AND at < $4"+cond, product, after, end.Int64, before)
				if err != nil || n == 0 {
					return err
				}
				return s.reserveSeqs(ctx, tx, end.Int64)
			})
			if err == nil {
				err = sleep(ctx, removalPause)
			}
		}
		if err != nil {
			return err
		}
		after = end.Int64
	}
}

// expireRollups removes the rollups and checks from before a day, which must be the first
// of a four-week period. Each transaction removes four weeks.
func (s *Store) expireRollups(ctx context.Context, product int64, before rollup.Day) error {
	for {
		first, err := queryValue[sql.NullInt64](ctx, s.read, `SELECT MIN(day) FROM (SELECT MIN(day) AS day FROM rollup WHERE product = $1 AND span = 1
			UNION ALL SELECT MIN(day) FROM rollup WHERE product = $1 AND span = 28
			UNION ALL SELECT MIN(day) FROM site_count WHERE product = $1
			UNION ALL SELECT MIN(day) FROM checks WHERE product = $1) AS days`, product)
		if err != nil || !first.Valid || rollup.Day(first.Int64) >= before {
			return err
		}
		end := min(before, rollup.FourWeeks.Start(rollup.Day(first.Int64))+rollup.Day(rollup.FourWeeks))
		err = s.inTx(ctx, func(tx *sql.Tx) error {
			return deleteFrom(ctx, tx, []string{"rollup", "sketch", "checks", "installation_count", "site_count"}, "product = $1 AND day < $2", product, end)
		})
		if err == nil {
			err = sleep(ctx, removalPause)
		}
		if err != nil {
			return err
		}
	}
}
