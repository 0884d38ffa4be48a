package db

import (
	"context"
	"database/sql"
	"fmt"
	"maps"

	"relcheck/checker"
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
		var revision int64
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
			if c.Added+c.Changed == 1 {
				if revision, err = countChange(ctx, tx, id); err != nil {
					return err
				}
			}
			if !there {
				if err := checkReleases(ctx, tx, 1); err != nil {
					return err
				}
			}
			if err := putRelease(ctx, tx, id, key, r, revision); err != nil {
				return fmt.Errorf("release %s: %w", r.Version, err)
			}
		}
		if c.Added+c.Changed == 0 {
			return nil
		}
		return s.note(ctx, tx, action, product, c.String())
	})
	return c, err
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

// putRelease stores a release as part of the change of a revision.
func putRelease(ctx context.Context, tx *sql.Tx, product int64, key string, r checker.Release, revision int64) error {
	date := sql.NullInt64{Int64: r.Date.Unix(), Valid: !r.Date.IsZero()}
	_, err := tx.ExecContext(ctx, `INSERT INTO release (product, version, tag, notes, date, prerelease, retracted, revision)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (product, version) DO UPDATE SET tag = excluded.tag, notes = excluded.notes,
			date = excluded.date, prerelease = excluded.prerelease, retracted = excluded.retracted, revision = excluded.revision`,
		product, key, r.Version, r.Notes, date, r.Prerelease, r.Retracted, revision)
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

// releases returns the releases of a product.
func releases(ctx context.Context, q querier, product int64) ([]checker.Release, error) {
	return releasesWhere(ctx, q, "product = $1", product)
}

// releaseOf returns the release of a canonical version, or nil if there is none.
func releaseOf(ctx context.Context, q querier, product int64, version string) (*checker.Release, error) {
	found, err := releasesWhere(ctx, q, "product = $1 AND version = $2", product, version)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// releasesWhere returns the releases that a condition holds for. It holds for
// their assets as well.
func releasesWhere(ctx context.Context, q querier, condition string, args ...any) ([]checker.Release, error) {
	assets, err := readAssets(ctx, q, "SELECT "+assetColumns+" FROM asset WHERE "+condition, args...)
	if err != nil {
		return nil, err
	}
	stored, err := readReleases(ctx, q, assets, "SELECT "+releaseColumns+" FROM release WHERE "+condition, args...)
	if err != nil {
		return nil, err
	}
	all := make([]checker.Release, len(stored))
	for i, r := range stored {
		all[i] = r.Release
	}
	return all, nil
}
