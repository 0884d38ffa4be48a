package db

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"time"

	"relcheck/checker"
)

// Change tells what storing some releases came to.
type Change struct {
	Added, Changed, Unchanged int
}

// Catalog returns every product with its releases, as of one moment.
func (s *Store) Catalog(ctx context.Context) (checker.Catalog, error) {
	var c checker.Catalog
	err := s.inSnapshot(ctx, func(tx *sql.Tx) (err error) {
		if c.Revision, err = setting(ctx, tx, "catalog"); err != nil {
			return err
		}
		all, err := products(ctx, tx)
		if err != nil {
			return err
		}
		for _, p := range all {
			releases, err := releases(ctx, tx, p.id)
			if err != nil {
				return err
			}
			c.Products = append(c.Products, checker.Listing{Product: p.Product, Releases: releases})
		}
		return nil
	})
	return c, err
}

// Revision returns a number that grows whenever a product or a release
// changes, in this process or another.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	n, err := setting(ctx, s.read, "catalog")
	return n, s.explain(err)
}

// Releases returns the releases of a product, in no particular order.
func (s *Store) Releases(ctx context.Context, product string) ([]checker.Release, error) {
	id, err := productID(ctx, s.read, product)
	if err != nil {
		return nil, err
	}
	return releases(ctx, s.read, id)
}

// PutReleases stores releases of a product, all of them or none. A version
// that is there already, however it is spelled, becomes what merge makes of
// the stored and the given release. Whether a release is withdrawn stays as
// it was: see [Store.Withdraw].
func (s *Store) PutReleases(ctx context.Context, product string, given []checker.Release,
	merge func(stored, given checker.Release) checker.Release) (Change, error) {
	var c Change
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		c = Change{}
		id, err := productID(ctx, tx, product)
		if err != nil {
			return err
		}
		stored, err := stored(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, r := range given {
			key := checker.Canonical(r.Version)
			if key == "" {
				return fmt.Errorf("release %q is not a semantic version, such as v1.2.3", r.Version)
			}
			old, there := stored[key]
			if there {
				r = merge(old, r)
			}
			switch {
			case !there:
				c.Added++
			case same(old, r):
				c.Unchanged++
				continue
			default:
				c.Changed++
			}
			stored[key] = r
			if err := putRelease(ctx, tx, id, key, r); err != nil {
				return fmt.Errorf("release %s: %w", r.Version, err)
			}
		}
		if c.Added+c.Changed == 0 {
			return nil
		}
		return touchCatalog(ctx, tx)
	})
	return c, err
}

// Withdraw takes a release back, or restores it. Either holds until the other
// is asked for, whatever the release's source says meanwhile.
func (s *Store) Withdraw(ctx context.Context, product, version string, withdrawn bool) error {
	return s.changeCatalog(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE release SET withdrawn = $3
			WHERE product = (SELECT id FROM product WHERE name = $1) AND version = $2`, product, checker.Canonical(version), withdrawn)
		return changedOne(res, err, fmt.Errorf("release %s of product %s: %w; relcheck release list %s shows those there are",
			version, product, ErrNotFound, product))
	})
}

// stored returns a product's releases by canonical version.
func stored(ctx context.Context, tx *sql.Tx, product int64) (map[string]checker.Release, error) {
	all, err := releases(ctx, tx, product)
	byVersion := make(map[string]checker.Release, len(all))
	for _, r := range all {
		byVersion[checker.Canonical(r.Version)] = r
	}
	return byVersion, err
}

func same(a, b checker.Release) bool {
	sameDate := a.Date.Unix() == b.Date.Unix() || a.Date.IsZero() && b.Date.IsZero()
	a.Date, b.Date = time.Time{}, time.Time{}
	a.Withdrawn, b.Withdrawn = false, false // kept apart
	if len(a.Assets)+len(b.Assets) == 0 {
		a.Assets, b.Assets = nil, nil
	}
	return sameDate && reflect.DeepEqual(a, b)
}

func putRelease(ctx context.Context, tx *sql.Tx, product int64, key string, r checker.Release) error {
	date := sql.NullInt64{Int64: r.Date.Unix(), Valid: !r.Date.IsZero()}
	_, err := tx.ExecContext(ctx, `INSERT INTO release (product, version, tag, notes, date, prerelease, retracted)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (product, version) DO UPDATE SET tag = excluded.tag, notes = excluded.notes,
			date = excluded.date, prerelease = excluded.prerelease, retracted = excluded.retracted`,
		product, key, r.Version, r.Notes, date, r.Prerelease, r.Retracted)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM asset WHERE product = $1 AND version = $2", product, key); err != nil {
		return err
	}
	for p, url := range r.Assets {
		if _, err := tx.ExecContext(ctx, "INSERT INTO asset (product, version, os, arch, url) VALUES ($1, $2, $3, $4, $5)",
			product, key, p.OS, p.Arch, url); err != nil {
			return err
		}
	}
	return nil
}

func releases(ctx context.Context, q querier, product int64) ([]checker.Release, error) {
	all, err := query(ctx, q, scanRelease, `SELECT tag, notes, date, prerelease, retracted,
			COALESCE(withdrawn, retracted <> '')
		FROM release WHERE product = $1`, product)
	if err != nil {
		return nil, err
	}
	index := make(map[string]int, len(all))
	for i, r := range all {
		index[checker.Canonical(r.Version)] = i
	}
	type asset struct {
		version, url string
		platform     checker.Platform
	}
	assets, err := query(ctx, q, func(rows *sql.Rows) (a asset, err error) {
		err = rows.Scan(&a.version, &a.platform.OS, &a.platform.Arch, &a.url)
		return a, err
	}, "SELECT version, os, arch, url FROM asset WHERE product = $1", product)
	for _, a := range assets {
		r := &all[index[a.version]]
		if r.Assets == nil {
			r.Assets = map[checker.Platform]string{}
		}
		r.Assets[a.platform] = a.url
	}
	return all, err
}

func scanRelease(rows *sql.Rows) (r checker.Release, err error) {
	var date sql.NullInt64
	err = rows.Scan(&r.Version, &r.Notes, &date, &r.Prerelease, &r.Retracted, &r.Withdrawn)
	if date.Valid {
		r.Date = time.Unix(date.Int64, 0).UTC()
	}
	return r, err
}
