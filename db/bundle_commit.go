package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
)

// commit makes everything visible. If products have changed since they were compared, the
// error is errCatalogMoved, and prepare must compare them again.
func (im *bundleImport) commit(ctx context.Context) (results []BundleResult, err error) {
	if im.bundle.DryRun {
		for _, part := range im.parts {
			results = append(results, part.result(im.bundle))
		}
		return results, nil
	}
	var moved []*bundlePart
	err = im.inLongChange(ctx, im.oneByOne(ctx, func(tx *sql.Tx) error {
		results, moved = nil, nil
		state, err := readCatalogState(ctx, tx)
		if err == nil {
			err = im.checkTrust(ctx, tx, im.bundle, false, mapped(im.products, func(p *BundleProduct) string { return p.Product.Name }))
		}
		for _, part := range im.parts {
			same := true
			if err == nil {
				same, err = im.same(ctx, tx, part, state)
			}
			if !same {
				moved = append(moved, part)
			}
		}
		if err == nil && len(moved) > 0 {
			err = errCatalogMoved
		}
		for _, part := range im.parts {
			if err == nil {
				err = im.commitPart(ctx, tx, part)
				results = append(results, part.result(im.bundle))
			}
		}
		if err == nil {
			err = im.stage.end(ctx, tx)
		}
		return err
	}))
	for _, part := range moved {
		part.compared = false
		if part.isNew { // the product was added meanwhile: start over
			im.parts = nil
		}
	}
	return results, err
}

// same reports whether a product has not changed since it was compared.
func (im *bundleImport) same(ctx context.Context, tx *sql.Tx, part *bundlePart, state catalogState) (bool, error) {
	now, err := productNamed(ctx, tx, part.product.Name)
	if part.isNew {
		if errors.Is(err, ErrNotFound) {
			return true, nil
		}
		return false, err
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	last, err2 := im.lastApplied(ctx, tx, part.product.id)
	changed, err3 := queryValue[bool](ctx, tx, "SELECT EXISTS (SELECT 1 FROM release_layer WHERE product = $1 AND revision > $2)", part.product.id, part.since.Changes)
	same := now.id == part.product.id && now.Equal(part.product.Product) && last == part.last && state.follows(part.since) && !changed
	return same, cmp.Or(err, err2, err3)
}

// commitPart makes a product visible.
func (im *bundleImport) commitPart(ctx context.Context, tx *sql.Tx, part *bundlePart) (err error) {
	for _, sum := range part.sound {
		if err := markDamaged(ctx, tx, sum, time.Time{}); err != nil {
			return err
		}
	}
	if part.repeated(im.bundle) {
		return nil
	}
	if p := part.product; part.isNew {
		err = im.addChecked(ctx, tx, p.Product, func() (id int64, err error) {
			return p.id, requireUpdate(ctx, tx, errStageLost, "UPDATE product SET name = $2 WHERE id = $1 AND name IS NULL", p.id, p.Name)
		})
	}
	if err == nil {
		err = im.writePart(ctx, tx, part)
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO applied_bundle (product, store, sequence, bundle, applied) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (product, store) DO UPDATE SET sequence = excluded.sequence, bundle = excluded.bundle, applied = excluded.applied`,
			part.product.id, im.bundle.Store, part.of.Sequence, im.bundle.ID, im.bundle.Time.Unix())
		if err == nil {
			err = recordSync(ctx, tx, part.product.id, catalog.Sync{Upstream: catalog.BundleList(im.bundle.Store), Tried: im.bundle.Time, Succeeded: im.bundle.Time, Latest: part.of.Latest})
		}
	}
	if result := part.result(im.bundle); err == nil && result.changes() {
		err = im.audit(ctx, tx, access.BundleApplied, part.product.Name, result.String())
	}
	return err
}

// writePart makes staged rows of a product visible, and writes the changed ones.
func (im *bundleImport) writePart(ctx context.Context, tx *sql.Tx, part *bundlePart) error {
	err := im.writeHosted(ctx, tx, part.product.id, part.changedHosted, true, replaceHosted)
	if err != nil {
		return err
	}
	revision, err := countChange(ctx, tx, part.product.id) // also if only the age of the bundle changes
	if err != nil || !part.staged && len(part.rows)+len(part.changedHosted) == 0 {
		return err
	}
	if err = im.publish(ctx, tx, part.product.id, revision); err != nil {
		return err
	}
	for page := range slices.Chunk(part.rows, 50) {
		rows := make([]storedLayer, len(page))
		for i, r := range page {
			rows[i] = r.storedLayer
			if r.reread && err == nil {
				rows[i].Text, err = part.of.Text(r.release)
			}
		}
		if err == nil {
			err = im.writeLayers(ctx, tx, rows, revision)
		}
	}
	if err == nil {
		err = forgetSyncs(ctx, tx, part.product.id)
	}
	return err
}
