package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
)

// EditRelease applies a patch to the operator's layer of a release, which it adds if it
// does not exist, and returns the release. The error wraps [ErrNotFound] if the product
// does not exist, and is a [catalog.FieldError] if the tag is invalid.
func (s *Store) EditRelease(ctx context.Context, product, tag string, e catalog.ReleasePatch) (r catalog.Release, done catalog.Outcome, err error) {
	if err := catalog.CheckTag(tag); err != nil {
		return r, catalog.Unchanged, err
	}
	err = s.inChange(ctx, func(tx *sql.Tx) (err error) {
		r, done, err = s.editRelease(ctx, tx, product, tag, e)
		return err
	})
	return r, done, err
}

func (s *Store) editRelease(ctx context.Context, tx *sql.Tx, product, tag string, e catalog.ReleasePatch) (r catalog.Release, done catalog.Outcome, err error) {
	p, found, stored, err := findRelease(ctx, tx, product, tag)
	switch {
	case errors.Is(err, ErrNotFound) && p.id != 0:
		done, tag, stored = catalog.Added, p.NewTag(tag), new(storedRelease)
	case err != nil:
		return r, done, err
	default:
		tag = found
		if err := stored.readBodies(ctx, tx, releaseKey{p.id, tag}); err != nil {
			return r, done, err
		}
	}
	scheme := p.Scheme()
	old := stored.layer(catalog.Operator)
	layer := e.Apply(old)
	wasWithdrawn := stored.merge(scheme, tag).Withdrawn
	if old.Withdrawn == nil && layer.Withdrawn != nil && !*layer.Withdrawn && !wasWithdrawn { // nothing to restore: upstream may still retract it
		layer.Withdrawn = nil
	}
	changes := old.Differences(&layer)
	stored.layers[catalog.Operator] = &layer
	r = stored.merge(scheme, tag)
	if err := e.Check(&r); err != nil {
		return r, catalog.Unchanged, err
	}
	if len(changes) == 0 && done != catalog.Added {
		return r, done, nil
	}
	revision, err := countChange(ctx, tx, p.id)
	if err == nil && done == catalog.Added {
		err = checkReleases(ctx, tx, 1)
	}
	if err == nil {
		rows := []storedLayer{{layerKey{releaseKey{p.id, tag}, catalog.Operator}, stored.id(), layer}}
		err = s.writeLayers(ctx, tx, rows, revision)
		r.ID = rows[0].id
	}
	if err == nil {
		err = s.auditRelease(ctx, tx, product, r, done, changes, r.Withdrawn != wasWithdrawn)
	}
	return r, max(done, catalog.Changed), err
}

// auditRelease records a change of a release. A withdrawal has an entry of its own.
func (s *Store) auditRelease(ctx context.Context, tx *sql.Tx, product string, r catalog.Release, done catalog.Outcome, changes []string, withdraws bool) (err error) {
	if withdraws {
		changes = slices.DeleteFunc(changes, func(name string) bool { return name == "withdrawn" })
	}
	switch {
	case done == catalog.Added:
		err = s.audit(ctx, tx, access.ReleaseAdded, product, r.Tag)
	case len(changes) > 0:
		err = s.audit(ctx, tx, access.ReleaseChanged, product, r.Tag+": "+strings.Join(changes, ", "))
	}
	if err != nil || !withdraws {
		return err
	}
	if r.Withdrawn {
		return s.audit(ctx, tx, access.ReleaseWithdrawn, product, r.Tag)
	}
	return s.audit(ctx, tx, access.ReleaseRestored, product, r.Tag)
}

// Withdraw withdraws or restores a release. That overrides what upstream says from then
// on. The outcome is [catalog.Unchanged] if there was nothing to do. The error wraps
// [ErrNotFound] if the product or the release does not exist.
func (s *Store) Withdraw(ctx context.Context, product, tag string, withdrawn bool) (r catalog.Release, done catalog.Outcome, err error) {
	var e catalog.ReleasePatch
	e.SetWithdrawn(withdrawn)
	err = s.inChange(ctx, func(tx *sql.Tx) error {
		_, _, _, err := findRelease(ctx, tx, product, tag)
		if err == nil {
			r, done, err = s.editRelease(ctx, tx, product, tag, e)
		}
		return err
	})
	return r, done, err
}

// ResetRelease removes what the operator has decided about a release, so that only
// upstream counts. A release about which upstream says nothing is removed. The error wraps
// [ErrNotFound] if the product or the release does not exist.
func (s *Store) ResetRelease(ctx context.Context, product, tag string) (r catalog.Release, removed bool, err error) {
	err = s.inChange(ctx, func(tx *sql.Tx) error {
		p, tag, stored, err := findRelease(ctx, tx, product, tag)
		if err != nil {
			return err
		}
		operator := stored.layers[catalog.Operator]
		stored.layers[catalog.Operator] = nil
		removed = stored.layers[catalog.Upstream] == nil
		if r = stored.merge(p.Scheme(), tag); operator == nil {
			return nil
		}
		revision := int64(0)
		if removed { // no row is left to mark as changed: readers reload the whole catalog
			_, err = next(ctx, tx, "catalog")
		} else {
			revision, err = countChange(ctx, tx, p.id)
		}
		if err == nil {
			err = deleteFrom(ctx, tx, []string{"file_layer", "release_layer"}, "product = $1 AND tag = $2 AND layer = 1", p.id, tag)
		}
		if err == nil && removed {
			err = deleteFrom(ctx, tx, []string{"hosted_file"}, "product = $1 AND tag = $2 AND NOT staged", p.id, tag)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE release_layer SET revision = $3 WHERE product = $1 AND tag = $2 AND revision <> -1", p.id, tag, revision)
		}
		if err == nil {
			err = s.audit(ctx, tx, access.ReleaseReset, product, tag)
		}
		return err
	})
	return r, removed, err
}

// EditProduct applies a patch to a product, which it adds if it does not exist, and
// returns the stored product. The error is a [catalog.FieldError], or wraps [ErrInUse] if
// the repository belongs to another product.
func (s *Store) EditProduct(ctx context.Context, name string, e catalog.ProductPatch) (p catalog.Product, done catalog.Outcome, err error) {
	err = s.inChange(ctx, func(tx *sql.Tx) error {
		old, err := productNamed(ctx, tx, name)
		added := errors.Is(err, ErrNotFound)
		if err != nil && !added {
			return err
		}
		old.Name = name
		if p, err = e.Apply(old.Product); err != nil {
			return err
		}
		if added {
			done = catalog.Added
			return s.addProduct(ctx, tx, p)
		}
		done, err = s.setProduct(ctx, tx, old, p)
		return err
	})
	return p, done, err
}

func (s *Store) addProduct(ctx context.Context, tx *sql.Tx, p catalog.Product) error {
	switch _, err := productID(ctx, tx, p.Name); {
	case err == nil:
		return catalog.InUse("name", "product %s already exists: change its settings instead", p.Name)
	case !errors.Is(err, ErrNotFound):
		return err
	}
	return s.addChecked(ctx, tx, p, func() (id int64, err error) { return insertProduct(ctx, tx, p) })
}

// addChecked adds a product with add, which returns its ID, unless the repository belongs to
// another one or there are too many.
func (s *Store) addChecked(ctx context.Context, tx *sql.Tx, p catalog.Product, add func() (id int64, err error)) error {
	if err := checkRepo(ctx, tx, p); err != nil {
		return err
	}
	if err := checkCount(ctx, tx, "SELECT count(name) FROM product", 1, catalog.MaxProducts, "products"); err != nil {
		return err
	}
	id, err := add()
	if err == nil {
		_, err = countChange(ctx, tx, id)
	}
	if err == nil {
		err = s.audit(ctx, tx, access.ProductAdded, p.Name, "")
	}
	return err
}

func (s *Store) setProduct(ctx context.Context, tx *sql.Tx, old product, p catalog.Product) (catalog.Outcome, error) {
	changes := catalog.ChangedFields(old.Product, p)
	if len(changes) == 0 {
		return catalog.Unchanged, nil
	}
	if err := checkRepo(ctx, tx, p); err != nil {
		return catalog.Unchanged, err
	}
	revision, err := countChange(ctx, tx, old.id)
	if err == nil {
		row := productValues(p)
		_, err = tx.ExecContext(ctx, fmt.Sprintf("UPDATE product SET (%s) = %s WHERE id = $%d", productSettings, values(1, len(row), true), len(row)+1), append(row, old.id)...)
	}
	if err == nil && (old.Prefixes != p.Prefixes || old.Suffix != p.Suffix) { // the versions of all releases have changed
		_, err = tx.ExecContext(ctx, "UPDATE release_layer SET revision = $2 WHERE product = $1 AND revision <> -1", old.id, revision)
	}
	if err == nil && (old.Upstreams != p.Upstreams || old.Module != p.Module) {
		err = removeSyncs(ctx, tx, product{old.id, p})
	}
	if err == nil {
		err = s.audit(ctx, tx, access.ProductChanged, p.Name, strings.Join(changes, ", "))
	}
	return catalog.Changed, err
}

// checkReleases returns an error if the store cannot have that many more releases.
// Counting them takes PostgreSQL as long as ten changes, so they are counted only if an
// upper bound, in table setting, exceeds the limit.
func checkReleases(ctx context.Context, tx *sql.Tx, more int64) error {
	bound, err := increase(ctx, tx, "releases", more)
	if err != nil || bound <= catalog.MaxReleases {
		return err
	}
	const count = "SELECT count(*) FROM (SELECT DISTINCT product, tag FROM release_layer) AS r"
	if err := checkCount(ctx, tx, count, more, catalog.MaxReleases, "releases"); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE setting SET value = $1 + ("+count+") WHERE name = 'releases'", more)
	return err
}

// checkCount returns an error if a count plus more exceeds a limit.
func checkCount(ctx context.Context, tx *sql.Tx, query string, more, most int64, what string) error {
	n, err := queryValue[int64](ctx, tx, query)
	if err == nil && n+more > most {
		err = fmt.Errorf("%w: a store has at most %d %s; remove a product that is no longer needed, or use another store", ErrLimit, most, what)
	}
	return err
}
