package db

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"time"

	"relcheck/checker"
	"relcheck/checker/printable"
)

// Change tells what storing some releases came to.
type Change struct {
	Added, Changed, Unchanged int
}

func (c Change) String() string {
	return fmt.Sprintf("%d releases: %d added, %d changed, %d as they were", c.Added+c.Changed+c.Unchanged, c.Added, c.Changed, c.Unchanged)
}

// Merge makes one release of what is stored and what is given of it.
type Merge func(stored, given checker.Release) checker.Release

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
			releases, err := releases(ctx, tx, p.id, "")
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
	return releases(ctx, s.read, id, "")
}

// PutReleases stores releases of a product, all of them or none. A version
// that is there already, however it is spelled, becomes what merge makes of
// the stored and the given release. Whether a release is withdrawn stays as
// it was: see [Store.Withdraw].
func (s *Store) PutReleases(ctx context.Context, product string, given []checker.Release, merge Merge) (Change, error) {
	return s.putReleases(ctx, releasesImported, product, given, merge)
}

// SyncReleases is [Store.PutReleases] of what a source tells when it is asked.
func (s *Store) SyncReleases(ctx context.Context, product string, given []checker.Release, merge Merge) (Change, error) {
	return s.putReleases(ctx, releasesSynced, product, given, merge)
}

func (s *Store) putReleases(ctx context.Context, action, product string, given []checker.Release, merge Merge) (Change, error) {
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
			case len(differences(old, r)) == 0:
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
		if err := s.note(ctx, tx, action, product, c.String()); err != nil {
			return err
		}
		return touchCatalog(ctx, tx)
	})
	return c, err
}

// stored returns a product's releases by canonical version.
func stored(ctx context.Context, tx *sql.Tx, product int64) (map[string]checker.Release, error) {
	all, err := releases(ctx, tx, product, "")
	byVersion := make(map[string]checker.Release, len(all))
	for _, r := range all {
		byVersion[checker.Canonical(r.Version)] = r
	}
	return byVersion, err
}

// differences names what of a release differs, in order. Whether it is withdrawn
// is kept apart.
func differences(a, b checker.Release) (names []string) {
	for _, d := range []struct {
		name string
		same bool
	}{
		{"spelling", a.Version == b.Version},
		{"date", a.Date.Unix() == b.Date.Unix()},
		{"notes", a.Notes == b.Notes},
		{"prerelease", a.Prerelease == b.Prerelease},
		{"retracted", a.Retracted == b.Retracted},
		{"assets", maps.Equal(a.Assets, b.Assets)},
	} {
		if !d.same {
			names = append(names, d.name)
		}
	}
	return names
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

// releases returns those of a product, or the one of a canonical version.
func releases(ctx context.Context, q querier, product int64, version string) ([]checker.Release, error) {
	all, err := query(ctx, q, scanRelease, `SELECT tag, notes, date, prerelease, retracted,
			COALESCE(withdrawn, retracted <> '')
		FROM release WHERE product = $1 AND ($2 = '' OR version = $2)`, product, version)
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
	}, "SELECT version, os, arch, url FROM asset WHERE product = $1 AND ($2 = '' OR version = $2)", product, version)
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
	r.Retracted = printable.Clean(r.Retracted)
	if date.Valid {
		r.Date = time.Unix(date.Int64, 0).UTC()
	}
	return r, err
}
