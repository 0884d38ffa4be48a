package db

import (
	"context"
	"database/sql"
	"time"

	"relcheck/checker/stats"
)

// expireReports removes the reports that came in before a time and are folded.
func (s *Store) expireReports(ctx context.Context, product int64, before time.Time) error {
	type mark struct{ node, seq int64 }
	marks, err := query(ctx, s.read, func(rows *sql.Rows) (m mark, err error) {
		err = rows.Scan(&m.node, &m.seq)
		return m, err
	}, "SELECT node, seq FROM mark WHERE product = $1 ORDER BY node", product)
	removed := int64(0)
	for _, m := range marks {
		for after, more := m.node<<nodeBits, true; more && err == nil; {
			var n int64
			after, n, err = s.expirePage(ctx, product, after, m.seq, before)
			removed += n
			more = after < m.seq && after > 0
		}
	}
	if err != nil || removed == 0 {
		return err
	}
	return s.shred(ctx)
}

// expirePage removes those of a page of the log, up to a mark, that came in before
// a time. It returns the last seq of the page, or 0 when it was too new altogether:
// so are those behind it.
func (s *Store) expirePage(ctx context.Context, product, after, mark int64, before time.Time) (last, removed int64, err error) {
	var end, oldest sql.NullInt64
	err = s.read.QueryRowContext(ctx, "SELECT MAX(seq), MIN(at) FROM (SELECT seq, at FROM report WHERE "+s.ofProduct()+
		" seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4) AS page", product, after, mark, removalPage).Scan(&end, &oldest)
	if err != nil || !end.Valid || oldest.Int64 >= before.Unix() {
		return 0, 0, err
	}
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.retire(ctx, tx, end.Int64); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "DELETE FROM report WHERE product = $1 AND seq > $2 AND seq <= $3 AND at < $4", product, after, end.Int64, before.Unix())
		if err == nil {
			removed, err = res.RowsAffected()
		}
		return err
	})
	if err == nil {
		err = rest(ctx)
	}
	return end.Int64, removed, err
}

// rest lets others have their turn to write.
func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(removalPause):
		return nil
	}
}

// expireRollups removes what is known of the days before one with which four
// weeks begin, four weeks at a time.
func (s *Store) expireRollups(ctx context.Context, product int64, before stats.Day) error {
	for {
		var first sql.NullInt64
		err := s.read.QueryRowContext(ctx, `SELECT MIN(day) FROM (SELECT MIN(day) AS day FROM rollup WHERE product = $1 AND span = 28
			UNION ALL SELECT MIN(day) FROM checks WHERE product = $1) AS days`, product).Scan(&first)
		if err != nil || !first.Valid || stats.Day(first.Int64) >= before {
			return err
		}
		end := min(before, stats.FourWeeks.Start(stats.Day(first.Int64))+stats.Day(stats.FourWeeks))
		err = s.inTx(ctx, func(tx *sql.Tx) error {
			for _, table := range []string{"rollup", "sketch", "checks"} {
				if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE product = $1 AND day < $2", product, end); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			err = rest(ctx)
		}
		if err != nil {
			return err
		}
	}
}
