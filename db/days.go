package db

import (
	"context"
	"database/sql"

	"relcheck/checker/stats/rollup"
)

// Days reads the numbers of instances of a product on the days of some ranges, by build.
// keep selects the builds. Like [Store.Totals], it is limited to ten seconds.
func (s *Store) Days(ctx context.Context, product string, ranges []rollup.Range, keep func(rollup.Build) bool) (all []rollup.BuildTotals, err error) {
	s.readMu.RLock()
	defer s.readMu.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = s.inSnapshot(ctx, func(tx *sql.Tx) error {
		id, err := productID(ctx, tx, product)
		if err != nil {
			return err
		}
		r := daysReader{tx: tx, product: id, days: map[int64][]rollup.Count{}}
		for _, days := range ranges {
			if err := r.read(ctx, days); err != nil {
				return err
			}
		}
		all, err = r.builds(ctx, keep)
		return err
	})
	return all, err
}

type daysReader struct {
	tx      *sql.Tx
	product int64
	days    map[int64][]rollup.Count // by build
}

func (r *daysReader) read(ctx context.Context, days rollup.Range) error {
	var build int64
	var c rollup.Count
	return eachRow(ctx, r.tx, func(rows *sql.Rows) error {
		err := rows.Scan(&build, &c.Day, &c.Instances)
		r.days[build] = append(r.days[build], c)
		return err
	}, "SELECT build, day, ids FROM rollup WHERE product = $1 AND span = 1 AND day BETWEEN $2 AND $3", r.product, days.From, days.To)
}

func (r *daysReader) builds(ctx context.Context, keep func(rollup.Build) bool) (all []rollup.BuildTotals, err error) {
	if len(r.days) == 0 {
		return nil, nil
	}
	err = eachRow(ctx, r.tx, func(rows *sql.Rows) error {
		var id int64
		var b rollup.Build
		err := rows.Scan(&id, &b.Version, &b.OS, &b.Arch)
		if days := r.days[id]; days != nil && err == nil && keep(b) {
			all = append(all, rollup.BuildTotals{Build: b, Days: days})
		}
		return err
	}, "SELECT id, version, os, arch FROM build WHERE product = $1", r.product)
	return all, err
}
