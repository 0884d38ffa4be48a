package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// EditRelease applies a patch to a release, which it adds if it does not exist, and returns
// the stored release. The error wraps [ErrNotFound] if the product does not exist, and is
// a [catalog.FieldError] if the version is invalid.
func (s *Store) EditRelease(ctx context.Context, product, version string, e catalog.ReleasePatch) (r catalog.Release, done catalog.Outcome, err error) {
	if err := catalog.CheckVersion(version); err != nil {
		return r, catalog.Unchanged, err
	}
	err = s.inTx(ctx, func(tx *sql.Tx) (err error) {
		r, done, err = s.editRelease(ctx, tx, product, version, e)
		return err
	})
	return r, done, err
}

func (s *Store) editRelease(ctx context.Context, tx *sql.Tx, product, version string, e catalog.ReleasePatch) (r catalog.Release, done catalog.Outcome, err error) {
	p, err := productNamed(ctx, tx, product)
	if err != nil {
		return r, done, err
	}
	key := checker.Canonical(version)
	found, err := releaseOf(ctx, tx, p.id, key)
	if err != nil {
		return r, done, err
	}
	old, action, detail := catalog.NewRelease(p.Product, version), releaseAdded, ""
	if found != nil {
		old, action = *found, releaseChanged
	}
	r = e.Apply(old)
	changes := differences(old, r)
	switch {
	case found == nil:
		done, detail = catalog.Added, r.Version
	case len(changes) > 0:
		done, detail = catalog.Changed, r.Version+": "+strings.Join(changes, ", ")
	}
	withdraws := e.Withdrawn != nil && *e.Withdrawn != r.Withdrawn
	if done == catalog.Unchanged && !withdraws {
		return r, done, nil
	}
	revision, err := countChange(ctx, tx, p.id)
	if err != nil {
		return r, done, err
	}
	if done == catalog.Added {
		err = checkReleases(ctx, tx, 1)
	}
	if err == nil && done != catalog.Unchanged {
		err = s.writeReleases(ctx, tx, []storedRelease{{releaseKey{p.id, key}, r}}, revision)
	}
	if err == nil && done != catalog.Unchanged {
		err = s.audit(ctx, tx, action, product, detail)
	}
	if err == nil && withdraws {
		r.Withdrawn, done = *e.Withdrawn, max(done, catalog.Changed)
		err = s.withdraw(ctx, tx, p, key, r.Version, r.Withdrawn, revision)
	}
	return r, done, err
}

// Withdraw withdraws or restores a release. That overrides what upstream says from then
// on.
func (s *Store) Withdraw(ctx context.Context, product, version string, withdrawn bool) error {
	key := checker.Canonical(version)
	return s.inTx(ctx, func(tx *sql.Tx) error {
		p, err := productNamed(ctx, tx, product)
		if err != nil {
			return err
		}
		var tag string
		var was sql.NullBool
		err = tx.QueryRowContext(ctx, "SELECT tag, withdrawn FROM release WHERE product = $1 AND version = $2 AND revision >= 0", p.id, key).Scan(&tag, &was)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("release %s of product %s: %w; list its releases with relcheck release list %s", version, product, ErrNotFound, product)
		case err != nil || was.Valid && was.Bool == withdrawn:
			return err
		}
		revision, err := countChange(ctx, tx, p.id)
		if err != nil {
			return err
		}
		return s.withdraw(ctx, tx, p, key, tag, withdrawn, revision)
	})
}

func (s *Store) withdraw(ctx context.Context, tx *sql.Tx, p product, key, tag string, withdrawn bool, revision int64) error {
	action := releaseRestored
	if withdrawn {
		action = releaseWithdrawn
	}
	_, err := tx.ExecContext(ctx, "UPDATE release SET withdrawn = $3, revision = $4 WHERE product = $1 AND version = $2", p.id, key, withdrawn, revision)
	if err != nil {
		return err
	}
	return s.audit(ctx, tx, action, p.Name, tag)
}

// EditProduct applies a patch to a product, which it adds if it does not exist, and
// returns the stored product. The error is a [catalog.FieldError], or wraps [ErrInUse] if
// the repository belongs to another product.
func (s *Store) EditProduct(ctx context.Context, name string, e catalog.ProductPatch) (p catalog.Product, done catalog.Outcome, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
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
		return fmt.Errorf("product %s already exists: %w; change it with relcheck product set", p.Name, ErrInUse)
	case !errors.Is(err, ErrNotFound):
		return err
	}
	if err := checkRepo(ctx, tx, p); err != nil {
		return err
	}
	if err := checkCount(ctx, tx, "SELECT count(name) FROM product", 1, catalog.MaxProducts, "products"); err != nil {
		return err
	}
	id, err := insertProduct(ctx, tx, p)
	if err == nil {
		_, err = countChange(ctx, tx, id)
	}
	if err == nil {
		err = s.audit(ctx, tx, productAdded, p.Name, "")
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
	_, err := countChange(ctx, tx, old.id)
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE product SET title = $2, repo = $3, module = $4, download = $5, notes = $6, origins = $7 WHERE id = $1",
			old.id, p.Title, p.Repo, p.Module, p.Download, p.Notes, p.Origins)
	}
	if err == nil {
		err = s.audit(ctx, tx, productChanged, p.Name, strings.Join(changes, ", "))
	}
	return catalog.Changed, err
}

// checkReleases returns an error if the store cannot have that many more releases.
// Counting them takes PostgreSQL as long as ten changes, so they are counted only if an
// upper bound, in table setting, exceeds the limit.
func checkReleases(ctx context.Context, tx *sql.Tx, more int64) error {
	var bound int64
	err := tx.QueryRowContext(ctx, "UPDATE setting SET value = value + $1 WHERE name = 'releases' RETURNING value", more).Scan(&bound)
	if err != nil || bound <= catalog.MaxReleases {
		return err
	}
	if err := checkCount(ctx, tx, "SELECT count(*) FROM release", more, catalog.MaxReleases, "releases"); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE setting SET value = $1 + (SELECT count(*) FROM release) WHERE name = 'releases'", more)
	return err
}

// checkCount returns an error if a count would exceed a limit with so many more.
func checkCount(ctx context.Context, tx *sql.Tx, query string, more, most int64, what string) error {
	var n int64
	err := tx.QueryRowContext(ctx, query).Scan(&n)
	if err == nil && n+more > most {
		err = fmt.Errorf("%w: a store has at most %d %s; remove a product that is no longer needed, or use another store", ErrLimit, most, what)
	}
	return err
}
