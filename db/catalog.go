package db

import (
	"context"
	"database/sql"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// catalogState is the revision of the catalog and of the latest removal of a product.
type catalogState struct {
	catalog.Revision
	dropped int64 // see setting 'dropped'
}

func readCatalogState(ctx context.Context, q querier) (c catalogState, err error) {
	err = q.QueryRowContext(ctx, `SELECT MAX(CASE name WHEN 'catalog' THEN value ELSE 0 END), MAX(CASE name WHEN 'marked' THEN value ELSE 0 END),
		MAX(CASE name WHEN 'dropped' THEN value ELSE 0 END) FROM setting WHERE name IN ('catalog', 'marked', 'dropped')`).
		Scan(&c.Changes, &c.Marked, &c.dropped)
	return c, err
}

// follows reports whether every change since a revision has marked the changed rows. A
// relcheck of schema 2 that still has the store open does not mark them. After a failover,
// PostgreSQL may be behind the revision.
func (c catalogState) follows(since catalog.Revision) bool {
	changes := c.Changes - since.Changes
	return since != catalog.Revision{} && changes >= 0 && changes == c.Marked-since.Marked
}

// Changes returns the changes of the catalog since a revision, by this process or another.
// Since the zero revision, that is the whole catalog.
func (s *Store) Changes(ctx context.Context, since catalog.Revision) (c catalog.Changes, err error) {
	if now, err := readCatalogState(ctx, s.read); err != nil || now.Revision == since {
		return catalog.Changes{Revision: since}, s.explain(err)
	}
	err = s.inSnapshot(ctx, func(tx *sql.Tx) error {
		now, err := readCatalogState(ctx, tx)
		if err != nil {
			return err
		}
		c = catalog.Changes{Revision: now.Revision, All: !now.follows(since)}
		after := since.Changes
		if c.All {
			after = -1 // never changed rows have revision 0
		} else if now.dropped > after {
			if c.Remaining, err = productIDs(ctx, tx); err != nil {
				return err
			}
		}
		c.Products, err = changedProducts(ctx, tx, after)
		return err
	})
	return c, err
}

// productIDs returns the IDs of all products.
func productIDs(ctx context.Context, q querier) (map[int64]bool, error) {
	return productSet(ctx, q, "SELECT id FROM product WHERE name IS NOT NULL")
}

// Rows changed after revision $1, except staged ones. CROSS JOIN makes SQLite read the
// tables in this order; otherwise it would scan all assets.
const (
	isChanged       = " WHERE product.revision > $1 AND product.name IS NOT NULL AND release.product = product.id AND release.revision > $1"
	changedReleases = " FROM product CROSS JOIN release" + isChanged
	changedAssets   = " FROM product CROSS JOIN release CROSS JOIN asset" + isChanged +
		" AND asset.product = release.product AND asset.version = release.version"
)

// changedProducts returns the products that were changed after a revision of the catalog,
// each with its changed releases.
func changedProducts(ctx context.Context, q querier, after int64) ([]catalog.Listing, error) {
	products, err := query(ctx, q, scanProduct, "SELECT "+productColumns+" FROM product WHERE name IS NOT NULL AND revision > $1", after)
	if err != nil || len(products) == 0 {
		return nil, err
	}
	all, index := make([]catalog.Listing, len(products)), make(map[int64]*catalog.Listing, len(products))
	for i, p := range products {
		all[i] = catalog.Listing{ID: p.id, Product: p.Product}
		index[p.id] = &all[i]
	}
	assets, err := readAssets(ctx, q, "SELECT "+assetColumns+changedAssets, after)
	if err != nil {
		return nil, err
	}
	releases, err := readReleases(ctx, q, assets, "SELECT "+releaseColumns+changedReleases, after)
	for _, r := range releases {
		l := index[r.product]
		l.Releases = append(l.Releases, r.Release)
	}
	return all, err
}

// releaseKey identifies a stored release.
type releaseKey struct {
	product int64
	version string // canonical
}

// storedRelease is a release with its key.
type storedRelease struct {
	releaseKey
	catalog.Release
}

const releaseColumns = `release.product, release.version, release.tag, release.notes, release.date, release.prerelease, release.retracted,
	COALESCE(release.withdrawn, release.retracted <> '')`

// readReleases returns the releases of a query for releaseColumns.
func readReleases(ctx context.Context, q querier, assets map[releaseKey]map[checker.Platform]string, text string, args ...any) ([]storedRelease, error) {
	return query(ctx, q, func(rows *sql.Rows) (r storedRelease, err error) {
		var date sql.NullInt64
		err = rows.Scan(&r.product, &r.version, &r.Version, &r.Notes, &date, &r.Prerelease, &r.Retracted, &r.Withdrawn)
		r.Retracted = printable.Clean(r.Retracted)
		r.Date = moment(date)
		r.Assets = assets[r.releaseKey]
		return r, err
	}, text, args...)
}

const assetColumns = "asset.product, asset.version, asset.os, asset.arch, asset.url"

// readAssets returns the assets of a query for assetColumns, by release.
func readAssets(ctx context.Context, q querier, text string, args ...any) (map[releaseKey]map[checker.Platform]string, error) {
	all := map[releaseKey]map[checker.Platform]string{}
	err := eachRow(ctx, q, func(rows *sql.Rows) error {
		var key releaseKey
		var p checker.Platform
		var url string
		err := rows.Scan(&key.product, &key.version, &p.OS, &p.Arch, &url)
		if all[key] == nil {
			all[key] = map[checker.Platform]string{}
		}
		all[key][p] = url
		return err
	}, text, args...)
	return all, err
}

// countChange assigns a new revision to a change of a product or of its releases, and
// marks the product with it. The caller marks other changed rows. The counter is a row of
// table setting, so transactions commit in the order of their revisions: a reader that
// sees a revision sees all changes before it.
func countChange(ctx context.Context, tx *sql.Tx, product int64) (revision int64, err error) {
	if revision, err = next(ctx, tx, "catalog"); err != nil {
		return 0, err
	}
	if _, err = next(ctx, tx, "marked"); err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE product SET revision = $2 WHERE id = $1", product, revision)
	}
	return revision, err
}

// Releases returns the releases of a product, in no particular order.
func (s *Store) Releases(ctx context.Context, product string) ([]catalog.Release, error) {
	id, err := productID(ctx, s.read, product)
	if err != nil {
		return nil, err
	}
	return releases(ctx, s.read, id)
}

func releases(ctx context.Context, q querier, product int64) ([]catalog.Release, error) {
	return releasesWhere(ctx, q, "product = $1 AND revision >= 0", "product = $1", product)
}

// releaseOf returns the release of a canonical version, or nil if there is none.
func releaseOf(ctx context.Context, q querier, product int64, version string) (*catalog.Release, error) {
	found, err := releasesWhere(ctx, q, "product = $1 AND version = $2 AND revision >= 0", "product = $1 AND version = $2", product, version)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// releasesWhere returns the releases that match a condition. asset must be a condition
// that matches at least their assets.
func releasesWhere(ctx context.Context, q querier, release, asset string, args ...any) ([]catalog.Release, error) {
	assets, err := readAssets(ctx, q, "SELECT "+assetColumns+" FROM asset WHERE "+asset, args...)
	if err != nil {
		return nil, err
	}
	stored, err := readReleases(ctx, q, assets, "SELECT "+releaseColumns+" FROM release WHERE "+release, args...)
	if err != nil {
		return nil, err
	}
	all := make([]catalog.Release, len(stored))
	for i, r := range stored {
		all[i] = r.Release
	}
	return all, nil
}
