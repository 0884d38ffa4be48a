package db

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"relcheck/checker/catalog"
)

// NextBundleSequences returns a new sequence number for each product of a bundle. It is the
// time in seconds, or higher if the last number was not lower. The error wraps
// [ErrNotFound] if a product does not exist.
func (s *Store) NextBundleSequences(ctx context.Context, products []string, now time.Time) (numbers map[string]int64, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		numbers = map[string]int64{}
		for _, name := range slices.Sorted(slices.Values(products)) { // in one order, so that no two commands wait for each other
			id, err := productID(ctx, tx, name)
			if err != nil {
				return err
			}
			numbers[name], err = queryValue[int64](ctx, tx, `INSERT INTO bundle_sequence (product, sequence) VALUES ($1, $2)
				ON CONFLICT (product) DO UPDATE SET sequence = CASE WHEN bundle_sequence.sequence < excluded.sequence THEN excluded.sequence ELSE bundle_sequence.sequence + 1 END
				RETURNING sequence`, id, now.Unix())
			if err != nil {
				return err
			}
		}
		return nil
	})
	return numbers, err
}

// AppliedBundle is the last bundle of another store that was applied to a product.
type AppliedBundle struct {
	Product  string
	Store    string // ID of the store that created the bundle
	Sequence int64  // of the product in the bundle
	Bundle   string // ID of the bundle
	Applied  time.Time
}

// AppliedBundles returns the last bundle of each store that was applied to each product.
func (s *Store) AppliedBundles(ctx context.Context) ([]AppliedBundle, error) {
	all, err := query(ctx, s.read, scanApplied, selectApplied)
	slices.SortFunc(all, func(a, b AppliedBundle) int {
		return cmp.Or(strings.Compare(a.Product, b.Product), strings.Compare(a.Store, b.Store))
	})
	return all, s.explain(err)
}

const selectApplied = `SELECT product.name, applied_bundle.store, applied_bundle.sequence, applied_bundle.bundle, applied_bundle.applied
	FROM applied_bundle JOIN product ON product.id = applied_bundle.product AND product.name IS NOT NULL`

func scanApplied(rows *sql.Rows) (b AppliedBundle, err error) {
	var applied int64
	err = rows.Scan(&b.Product, &b.Store, &b.Sequence, &b.Bundle, &applied)
	b.Applied = timeOf(applied)
	return b, err
}

// checkTrust returns an error if a bundle has expired, or if no key that is trusted for
// counts, or for releases, may sign all of its products. A key may have been revoked since
// the signature was verified.
func (s *Store) checkTrust(ctx context.Context, tx *sql.Tx, b Bundle, counts bool, products []string) error {
	if now := time.Now(); !b.Expires.IsZero() && now.After(b.Expires) {
		return fmt.Errorf("the bundle has expired at %s: %w", b.Expires.Format(time.RFC3339), ErrBundleRefused)
	}
	in, list := s.inList("$1", b.Keys)
	scopes, err := query(ctx, tx, scanValue[string], "SELECT products FROM trusted_key WHERE key "+in+" AND revoked = 0 AND counts = $2", list, counts)
	if err != nil {
		return err
	}
	for _, product := range products {
		if !slices.ContainsFunc(scopes, func(scope string) bool {
			return scope == "" || slices.Contains(strings.Fields(scope), product)
		}) {
			return fmt.Errorf("the key of the bundle is not trusted any more for product %s: %w", product, ErrBundleRefused)
		}
	}
	return nil
}

// DamagedContents returns the SHA-256 of the contents of hosted files that were found
// damaged.
func (s *Store) DamagedContents(ctx context.Context) (map[string]bool, error) {
	sums, err := querySet[string](ctx, s.read, "SELECT DISTINCT sha256 FROM hosted_file WHERE damaged <> 0")
	return sums, s.explain(err)
}

// ReleaseEntry is an entry of a release with its hosted files.
type ReleaseEntry struct {
	catalog.Entry
	Hosted []catalog.HostedFile
}

// ProductReader reads a product and its releases in one transaction.
type ProductReader struct {
	catalog.Product
	Tags []string // of its releases, sorted

	store *Store
	id    int64
	tx    *sql.Tx
}

// ReadProduct calls f, which reads a product. The error wraps [ErrNotFound] if it does not
// exist. f must not wait for slow clients, because the transaction hinders others.
func (s *Store) ReadProduct(ctx context.Context, product string, f func(*ProductReader) error) error {
	return s.inSnapshot(ctx, func(tx *sql.Tx) error {
		p, err := productNamed(ctx, tx, product)
		if err != nil {
			return err
		}
		r := &ProductReader{Product: p.Product, store: s, id: p.id, tx: tx}
		if r.Tags, err = releaseTags(ctx, tx, p.id); err != nil {
			return err
		}
		return f(r)
	})
}

// Releases returns the releases of the product, without their notes.
func (r *ProductReader) Releases(ctx context.Context) ([]catalog.Release, error) {
	return product{r.id, r.Product}.releases(ctx, r.tx)
}

// Entries iterates over all that is stored about the releases, sorted by tag.
func (r *ProductReader) Entries(ctx context.Context) iter.Seq2[ReleaseEntry, error] {
	return func(yield func(ReleaseEntry, error) bool) {
		for page := range slices.Chunk(r.Tags, entriesPage) {
			entries, err := r.store.readEntries(ctx, r.tx, r.id, page)
			if err != nil {
				yield(ReleaseEntry{}, err)
				return
			}
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}
