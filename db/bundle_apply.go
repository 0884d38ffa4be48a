package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"relcheck/checker/catalog"
)

// Bundle identifies a bundle to apply.
type Bundle struct {
	ID    string
	Store string    // ID of the store that has created it
	Time  time.Time // when it is applied

	DryRun bool // only compute what would change
	Force  bool // see [Store.ImportReleases]
}

// BundleProduct is a product in a bundle.
type BundleProduct struct {
	Product  catalog.Product // its settings, which are used if the store does not have it
	Sequence int64           // higher than in earlier bundles of the store
	List     catalog.List    // its releases, without the operator's layers

	// Hosted are the hosted files of these releases, by tag.
	Hosted map[string][]catalog.HostedFile
}

// BundleResult describes what a bundle changes in a product.
type BundleResult struct {
	Product  string
	New      bool // the product did not exist
	Repeated bool // the bundle was applied before, so nothing changes
	Releases ImportResult
	Hosted   int // number of files that were not hosted before, or had other content
}

// ErrOldBundle is wrapped by errors about a bundle that is older than an applied one.
var ErrOldBundle = errors.New("a newer bundle was applied before")

// ApplyBundle stores the products of a bundle in upstream's layer, all or nothing. It adds
// products that the store does not have. It does not change the settings of existing
// products. The contents of the hosted files must already be in the folder.
//
// ApplyBundle reads the products several times. It stages new rows in short transactions,
// and the last transaction makes all of them visible.
//
// The error wraps [ErrOldBundle] if another bundle of the store with the same or a higher
// sequence number of a product was applied before.
func (s *Store) ApplyBundle(ctx context.Context, b Bundle, products iter.Seq2[*BundleProduct, error]) (results []BundleResult, err error) {
	im := bundleImport{Store: s, bundle: b, products: products}
	for range maxTries {
		if err = nil; im.parts == nil {
			im.abandon(ctx)
			err = im.claim(ctx)
		}
		if err == nil {
			err = im.prepare(ctx)
		}
		if err == nil {
			results, err = im.commit(ctx)
		}
		if !errors.Is(err, errCatalogMoved) {
			break
		}
	}
	if err != nil {
		im.abandon(ctx)
	}
	return results, err
}

// bundleImport applies a bundle.
type bundleImport struct {
	*Store
	bundle   Bundle
	products iter.Seq2[*BundleProduct, error]
	parts    []*bundlePart // of the products, in their order
	stage    *stage        // nil for a dry run
}

// bundlePart is the part of an import that changes one product.
type bundlePart struct {
	product  product
	isNew    bool // the product is not visible yet
	sequence int64
	last     AppliedBundle  // last bundle that was applied to the product, or zero
	releases *releaseImport // nil while the product must be compared with the store
}

// abandon gives up the stage after an error, so that other imports need not wait.
func (im *bundleImport) abandon(ctx context.Context) {
	if im.stage != nil {
		im.abandonStage(ctx, im.stage)
	}
}

// claim looks up the products of the bundle and stages missing ones. It claims the right to
// stage releases of all products.
func (im *bundleImport) claim(ctx context.Context) (err error) {
	var given []catalog.Product
	names := map[string]bool{}
	for p, err := range im.products {
		if err == nil {
			err = catalog.CheckProduct(p.Product)
		}
		if err == nil && names[p.Product.Name] {
			err = fmt.Errorf("product %s is listed twice", p.Product.Name)
		}
		if err != nil {
			return err
		}
		names[p.Product.Name] = true
		given = append(given, p.Product)
	}
	find := func(tx *sql.Tx) (ids []int64, err error) {
		im.parts = nil
		for _, p := range given {
			part := &bundlePart{product: product{Product: p}}
			found, err := productNamed(ctx, tx, p.Name)
			switch {
			case err == nil:
				part.product = found
			case errors.Is(err, ErrNotFound):
				part.isNew, err = true, im.stageProduct(ctx, tx, &part.product)
			}
			if err != nil {
				return nil, err
			}
			im.parts, ids = append(im.parts, part), append(ids, part.product.id)
		}
		return ids, nil
	}
	if im.bundle.DryRun {
		return im.inSnapshot(ctx, func(tx *sql.Tx) error {
			_, err := find(tx)
			return err
		})
	}
	im.stage, err = im.claimStages(ctx, find)
	return err
}

// stageProduct adds a product that is not visible yet.
func (im *bundleImport) stageProduct(ctx context.Context, tx *sql.Tx, p *product) error {
	err := checkRepo(ctx, tx, p.Product)
	if errors.Is(err, ErrInUse) {
		err = fmt.Errorf("%w: to apply the bundle, add product %s without a repository first", err, p.Name)
	}
	if err == nil && !im.bundle.DryRun {
		if p.id, err = insertProduct(ctx, tx, p.Product); err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE product SET name = NULL, revision = -1 WHERE id = $1", p.id)
		}
	}
	return err
}

// prepare compares products with the store, and stages new rows. It skips products that
// have not changed since the last comparison.
func (im *bundleImport) prepare(ctx context.Context) error {
	i := 0
	for p, err := range im.products {
		if err != nil {
			return err
		}
		if i == len(im.parts) || im.parts[i].product.Name != p.Product.Name {
			return errors.New("the bundle changed while it was read")
		}
		part := im.parts[i]
		if i++; part.releases != nil {
			continue
		}
		if err := im.compare(ctx, part, p); err != nil {
			return fmt.Errorf("product %s: %w", p.Product.Name, err)
		}
		if im.bundle.DryRun {
			continue
		}
		err = im.emptyStage(ctx, im.stage, part.product.id) // from an earlier comparison
		if err == nil {
			err = part.releases.stageAll(ctx, im.stage)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compare compares a product with the store.
func (im *bundleImport) compare(ctx context.Context, part *bundlePart, p *BundleProduct) (err error) {
	for _, e := range p.List.Entries {
		if e.Operator != nil {
			return fmt.Errorf("release %s has an operator's layer", e.Tag)
		}
	}
	if part.last, err = im.lastApplied(ctx, im.read, part.product.id); err != nil {
		return err
	}
	part.sequence = p.Sequence
	switch {
	case part.repeated(im.bundle):
		p = &BundleProduct{}
	case part.last.Sequence >= p.Sequence:
		return fmt.Errorf("%w: the bundle has sequence number %d, and %d was applied at %s", ErrOldBundle, p.Sequence, part.last.Sequence, part.last.Applied.Format(time.RFC3339))
	}
	r, err := im.newImport(part.product.Name, []catalog.List{p.List}, im.bundle.Force)
	if err != nil {
		return err
	}
	r.of, r.isNew, r.hosted.given = part.product, part.isNew, p.Hosted
	if err = r.load(ctx); err == nil {
		part.product, part.releases = r.of, r
	}
	return err
}

// lastApplied returns the last bundle of the store that was applied to a product, or zero.
func (im *bundleImport) lastApplied(ctx context.Context, q querier, product int64) (last AppliedBundle, err error) {
	all, err := query(ctx, q, scanApplied, selectApplied+" WHERE applied_bundle.product = $1 AND applied_bundle.store = $2", product, im.bundle.Store)
	if len(all) > 0 {
		last = all[0]
	}
	return last, im.explain(err)
}

func (p *bundlePart) repeated(b Bundle) bool { return p.last.Bundle == b.ID }

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
	err = im.inLongChange(ctx, func(tx *sql.Tx) error {
		results, moved = nil, nil
		state, err := readCatalogState(ctx, tx)
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
	})
	for _, part := range moved {
		part.releases = nil
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
	last, err2 := im.lastApplied(ctx, tx, part.product.id)
	changed, err3 := queryValue[bool](ctx, tx, "SELECT EXISTS (SELECT 1 FROM release_layer WHERE product = $1 AND revision > $2)", part.product.id, part.releases.since.Changes)
	same := now.id == part.product.id && now.Equal(part.product.Product) && last == part.last && state.follows(part.releases.since) && !changed
	return same, cmp.Or(err, err2, err3)
}

// commitPart makes a product visible.
func (im *bundleImport) commitPart(ctx context.Context, tx *sql.Tx, part *bundlePart) (err error) {
	if part.repeated(im.bundle) {
		return nil
	}
	if part.isNew {
		if err = im.commitProduct(ctx, tx, part.product); err != nil {
			return err
		}
	}
	if r := part.releases; r.writes() {
		if err = r.writeHosted(ctx, tx, r.hosted.changed, replaceHosted+"true"); err == nil {
			err = r.write(ctx, tx, im.stage, r.changes)
		}
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO applied_bundle (product, store, sequence, bundle, applied) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (product, store) DO UPDATE SET sequence = excluded.sequence, bundle = excluded.bundle, applied = excluded.applied`,
			part.product.id, im.bundle.Store, part.sequence, im.bundle.ID, im.bundle.Time.Unix())
	}
	if result := part.result(im.bundle); err == nil && result.changes() {
		err = im.audit(ctx, tx, bundleApplied, part.product.Name, result.String())
	}
	return err
}

// commitProduct makes a new product visible, without its releases.
func (im *bundleImport) commitProduct(ctx context.Context, tx *sql.Tx, p product) error {
	err := checkRepo(ctx, tx, p.Product)
	if err == nil {
		err = checkCount(ctx, tx, "SELECT count(name) FROM product", 1, catalog.MaxProducts, "products")
	}
	if err == nil {
		err = requireUpdate(ctx, tx, errStageLost, "UPDATE product SET name = $2 WHERE id = $1 AND name IS NULL", p.id, p.Name)
	}
	if err == nil {
		_, err = countChange(ctx, tx, p.id)
	}
	if err == nil {
		err = im.audit(ctx, tx, productAdded, p.Name, "")
	}
	return err
}

func (p *bundlePart) result(b Bundle) BundleResult {
	r := BundleResult{Product: p.product.Name, New: p.isNew, Repeated: p.repeated(b), Hosted: p.releases.hosted.count}
	for _, change := range p.releases.changes {
		r.Releases = r.Releases.plus(change.sum())
	}
	return r
}

func (r BundleResult) changes() bool {
	return r.Releases.Added+r.Releases.Changed+r.Releases.Gone+r.Hosted > 0
}

func (r BundleResult) String() string {
	if r.Hosted == 0 {
		return r.Releases.String()
	}
	return fmt.Sprintf("%s; %d files", r.Releases, r.Hosted)
}
