package db

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/version"
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
	return querySet[int64](ctx, q, "SELECT id FROM product WHERE name IS NOT NULL")
}

// Rows of releases that were changed after revision $1, except staged ones. CROSS JOIN makes
// SQLite read the tables in this order; otherwise it would scan all files.
const (
	isChanged     = " WHERE product.revision > $1 AND product.name IS NOT NULL AND release_layer.product = product.id AND release_layer.revision > $1"
	changedLayers = " FROM product CROSS JOIN release_layer" + isChanged
	changedFiles  = " FROM product CROSS JOIN release_layer CROSS JOIN file_layer" + isChanged +
		" AND file_layer.product = release_layer.product AND file_layer.tag = release_layer.tag AND file_layer.layer = release_layer.layer AND NOT file_layer.gone"
	changedHosted = " FROM product CROSS JOIN release_layer CROSS JOIN hosted_file" + isChanged +
		" AND hosted_file.product = release_layer.product AND hosted_file.tag = release_layer.tag AND NOT hosted_file.staged"
)

// changedProducts returns the products that were changed after a revision of the catalog,
// each with its changed releases.
func changedProducts(ctx context.Context, q querier, after int64) ([]catalog.Listing, error) {
	products, err := query(ctx, q, scanProduct, "SELECT "+productColumns+" FROM product WHERE name IS NOT NULL AND revision > $1", after)
	if err != nil || len(products) == 0 {
		return nil, err
	}
	changed, err := readReleases(ctx, q, "SELECT "+layerColumns+changedLayers, "SELECT "+fileColumns+changedFiles, after)
	if err != nil {
		return nil, err
	}
	if err := readSyncs(ctx, q, products, "product.revision > $1", after); err != nil {
		return nil, err
	}
	hosted := "SELECT DISTINCT " + hostedColumns + changedHosted // once, also if both layers have changed
	if after < 0 {
		hosted = "SELECT " + hostedColumns + " FROM hosted_file WHERE NOT staged AND product > $1"
	}
	if err := readHosted(ctx, q, changed, hosted, after); err != nil {
		return nil, err
	}
	all, index := make([]catalog.Listing, len(products)), make(map[int64]int, len(products))
	schemes := make([]version.Scheme, len(products))
	for i, p := range products {
		all[i] = catalog.Listing{ID: p.id, Product: p.Product}
		index[p.id], schemes[i] = i, p.Scheme()
	}
	for key, r := range changed {
		i := index[key.product]
		all[i].Releases = append(all[i].Releases, r.merge(schemes[i], key.tag))
	}
	return all, nil
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
func (s *Store) Releases(ctx context.Context, product string) (all []catalog.Release, err error) {
	err = s.inSnapshot(ctx, func(tx *sql.Tx) error {
		p, err := productNamed(ctx, tx, product)
		if err == nil {
			all, err = p.releases(ctx, tx)
		}
		return err
	})
	return all, err
}

func (p product) releases(ctx context.Context, tx *sql.Tx) (all []catalog.Release, err error) {
	stored, err := releasesWhere(ctx, tx, "product = $1", p.id)
	scheme := p.Scheme()
	for key, r := range stored {
		all = append(all, r.merge(scheme, key.tag))
	}
	return all, err
}

// Release returns a release, and what upstream and the operator say about it, with the
// notes. Either may be nil. A tag with or without a leading "v" is the same if only one of
// them exists. The error wraps [ErrNotFound] if the product or the release does not exist.
func (s *Store) Release(ctx context.Context, product, tag string) (r catalog.Release, layers [2]*catalog.Layer, err error) {
	err = s.inSnapshot(ctx, func(tx *sql.Tx) error {
		p, tag, stored, err := findRelease(ctx, tx, product, tag)
		if err != nil {
			return err
		}
		r, layers = stored.merge(p.Scheme(), tag), stored.layers
		return stored.readBodies(ctx, tx, releaseKey{p.id, tag})
	})
	return r, layers, err
}

// findRelease returns a release with its product and its tag. The error wraps ErrNotFound if
// there is none. The product is zero if it does not exist.
func findRelease(ctx context.Context, q querier, name, tag string) (p product, found string, r *storedRelease, err error) {
	if p, err = productNamed(ctx, q, name); err != nil {
		return p, tag, nil, err
	}
	other, hasV := strings.CutPrefix(tag, "v")
	if !hasV {
		other = "v" + tag
	}
	stored, err := releasesWhere(ctx, q, "product = $1 AND tag IN ($2, $3)", p.id, tag, other)
	if err != nil {
		return p, tag, nil, err
	}
	for _, tag := range []string{tag, other} {
		if r := stored[releaseKey{p.id, tag}]; r != nil {
			return p, tag, r, nil
		}
	}
	return p, tag, nil, fmt.Errorf("release %s of product %s: %w; list its releases with relcheck release list %s", tag, p.Name, ErrNotFound, p.Name)
}
