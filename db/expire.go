package db

import (
	"context"
	"database/sql"

	"relcheck/checker/stats/rollup"
)

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
			UNION ALL SELECT MIN(day) FROM checks WHERE product = $1) AS days`, product)
		if err != nil || !first.Valid || rollup.Day(first.Int64) >= before {
			return err
		}
		end := min(before, rollup.FourWeeks.Start(rollup.Day(first.Int64))+rollup.Day(rollup.FourWeeks))
		err = s.inTx(ctx, func(tx *sql.Tx) error {
			return deleteFrom(ctx, tx, []string{"rollup", "sketch", "checks"}, "product = $1 AND day < $2", product, end)
		})
		if err == nil {
			err = sleep(ctx, removalPause)
		}
		if err != nil {
			return err
		}
	}
}
