package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/bundle"
	"relcheck/checker/catalog"
)

// TrustedKey is a public key that bundles are verified with.
type TrustedKey = bundle.TrustedKey

// TrustKey trusts a key for releases of some products, or of all if there are none. A key
// that was trusted or revoked before is trusted for these from now on.
func (s *Store) TrustKey(ctx context.Context, key string, products []string, now time.Time) error {
	return s.trustKey(ctx, key, products, false, now)
}

// TrustCountsKey is like [Store.TrustKey], but trusts a key for the counts of a site, and not
// for releases.
func (s *Store) TrustCountsKey(ctx context.Context, key string, products []string, now time.Time) error {
	return s.trustKey(ctx, key, products, true, now)
}

func (s *Store) trustKey(ctx context.Context, key string, products []string, counts bool, now time.Time) error {
	products = slices.Compact(slices.Sorted(slices.Values(products)))
	for _, name := range products {
		if !catalog.ValidProductName(name) {
			return &catalog.FieldError{Field: "product", Text: fmt.Sprintf("%q cannot be a product's name", name)}
		}
	}
	list := strings.Join(products, " ")
	return s.inChange(ctx, func(tx *sql.Tx) error {
		n, err := update(ctx, tx, `INSERT INTO trusted_key (key, products, counts, added, revoked) VALUES ($1, $2, $3, $4, 0)
			ON CONFLICT (key) DO UPDATE SET products = excluded.products, counts = excluded.counts, added = excluded.added, revoked = 0
			WHERE trusted_key.products <> excluded.products OR trusted_key.counts <> excluded.counts OR trusted_key.revoked <> 0`, key, list, counts, now.Unix())
		if err != nil || n == 0 {
			return err
		}
		detail := keyName(key)
		switch {
		case counts && list != "":
			detail += " for counts of " + strings.Join(products, ", ")
		case counts:
			detail += " for counts"
		case list != "":
			detail += " for " + strings.Join(products, ", ")
		}
		return s.audit(ctx, tx, access.KeyTrusted, "", detail)
	})
}

// RevokeKey revokes a key. If it was revoked before, that time stays. The error wraps
// [ErrNotFound] if the key was never trusted.
func (s *Store) RevokeKey(ctx context.Context, key string, now time.Time) error {
	return s.inChange(ctx, func(tx *sql.Tx) error {
		missing := fmt.Errorf("key %s: %w; list the keys with relcheck key list", keyName(key), ErrNotFound)
		revoked, err := queryOne(ctx, tx, missing, scanValue[int64], "SELECT revoked FROM trusted_key WHERE key = $1", key)
		if err != nil || revoked != 0 {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE trusted_key SET revoked = $2 WHERE key = $1", key, now.Unix()); err != nil {
			return err
		}
		return s.audit(ctx, tx, access.KeyRevoked, "", keyName(key))
	})
}

// keyName returns the name and the hash of a key. Signatures refer to the key by them.
func keyName(key string) string {
	name, rest, _ := strings.Cut(key, "+")
	hash, _, _ := strings.Cut(rest, "+")
	return name + "+" + hash
}

// TrustedKeys returns all keys that were ever trusted, by name.
func (s *Store) TrustedKeys(ctx context.Context) ([]TrustedKey, error) {
	all, err := query(ctx, s.read, func(rows *sql.Rows) (k TrustedKey, err error) {
		var products string
		var added, revoked int64
		err = rows.Scan(&k.Key, &products, &k.Counts, &added, &revoked)
		k.Products, k.Added, k.Revoked = strings.Fields(products), timeOf(added), timeOf(revoked)
		return k, err
	}, "SELECT key, products, counts, added, revoked FROM trusted_key")
	slices.SortFunc(all, func(a, b TrustedKey) int { return strings.Compare(a.Key, b.Key) })
	return all, s.explain(err)
}
