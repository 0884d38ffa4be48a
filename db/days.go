package db

import (
	"context"
	"database/sql"
	"slices"

	"relcheck/checker/stats/rollup"
)

// Days reads the numbers of instances and installations of a product on the days of some
// ranges, by build: of one site, of only the store itself for [rollup.LocalSite], or of all if
// site is empty. keep selects the builds. Like [Store.Totals], it is limited to ten seconds.
func (s *Store) Days(ctx context.Context, product, site string, ranges []rollup.Range, keep func(rollup.Build) bool) (all []rollup.BuildTotals, err error) {
	s.readMu.RLock()
	defer s.readMu.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = s.inSnapshot(ctx, func(tx *sql.Tx) error {
		id, err := productID(ctx, tx, product)
		if err != nil {
			return err
		}
		r := daysReader{tx: tx, product: id, builds: map[int64]*rollup.BuildTotals{}}
		own := site == "" || site == rollup.LocalSite
		for _, days := range ranges {
			if own && err == nil {
				err = r.read(ctx, `SELECT build, day, ids, 0 FROM rollup WHERE product = $1 AND span = 1 AND day BETWEEN $2 AND $3
					UNION ALL SELECT build, day, 0, daily FROM installation_count WHERE product = $1 AND day BETWEEN $2 AND $3`, days)
			}
			if site != rollup.LocalSite && err == nil {
				err = r.read(ctx, `SELECT build, day, instances, daily FROM site_count JOIN site ON site.id = site_count.site AND site.name IS NOT NULL
					WHERE product = $1 AND span = 1 AND day BETWEEN $2 AND $3 AND $4 IN ('', site.name)`, days, site)
			}
		}
		if err == nil {
			all, err = r.kept(ctx, keep)
		}
		return err
	})
	return all, err
}

type daysReader struct {
	tx      *sql.Tx
	product int64
	builds  map[int64]*rollup.BuildTotals // by ID
}

// read adds the rows of a query: a build, a day, and its numbers of instances and
// installations.
func (r *daysReader) read(ctx context.Context, text string, days rollup.Range, args ...any) error {
	var build, installations int64
	var c rollup.Count
	return eachRow(ctx, r.tx, func(rows *sql.Rows) error {
		err := rows.Scan(&build, &c.Day, &c.Instances, &installations)
		b := r.builds[build]
		if b == nil {
			b = new(rollup.BuildTotals)
			r.builds[build] = b
		}
		if c.Instances > 0 {
			b.Days = append(b.Days, c)
		}
		if installations > 0 {
			b.Installations = append(b.Installations, rollup.DayInstallations{Day: c.Day, Installations: rollup.Installations{Daily: installations}})
		}
		return err
	}, text, slices.Concat([]any{r.product, days.From, days.To}, args)...)
}

func scanBuild(rows *sql.Rows) (id int64, b rollup.Build, err error) {
	err = rows.Scan(&id, &b.Version, &b.OS, &b.Arch)
	return id, b, err
}

// kept returns the builds with counts that keep selects.
func (r *daysReader) kept(ctx context.Context, keep func(rollup.Build) bool) (all []rollup.BuildTotals, err error) {
	if len(r.builds) == 0 {
		return nil, nil
	}
	err = eachRow(ctx, r.tx, func(rows *sql.Rows) error {
		id, b, err := scanBuild(rows)
		if days := r.builds[id]; days != nil && err == nil && keep(b) {
			days.Build = b
			all = append(all, *days)
		}
		return err
	}, "SELECT id, version, os, arch FROM build WHERE product = $1", r.product)
	return all, err
}
