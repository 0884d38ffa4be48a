package db

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
)

// NextBundleSequences returns a new sequence number for each product of a bundle. It is the
// time in seconds, or higher if the last number was not lower. The error wraps
// [ErrNotFound] if a product does not exist.
func (s *Store) NextBundleSequences(ctx context.Context, products []string, now time.Time) (numbers map[string]int64, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		numbers = map[string]int64{}
		for _, name := range products {
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
