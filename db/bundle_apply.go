package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// Bundle identifies a bundle to apply.
type Bundle struct {
	ID      string
	Store   string    // ID of the store that has created it
	Expires time.Time // zero if it never expires
	Created time.Time
	Time    time.Time // when it is applied
	Keys    []string  // that have signed it, see [TrustedKey.Key]
	DryRun  bool      // only compute what would change

	// Place puts the contents of the files into the folder. It is called when the rows of
	// the files are staged, before they become visible. It may be called again.
	Place func() error
}

// BundleProduct is a product in a bundle.
type BundleProduct struct {
	Product  catalog.Product // its settings, which are used if the store does not have it
	Sequence int64           // higher than in earlier bundles of the store
	Latest   string          // tag of the latest release in the bundle, or empty

	// Releases iterates over the releases of the product. It is called several times.
	Releases iter.Seq2[BundleRelease, error]

	// Text returns the notes of a release again.
	Text func(BundleRelease) (*string, error)
}

// BundleRelease is a release in a bundle.
type BundleRelease struct {
	Tag    string
	Layer  catalog.Layer
	Hosted []catalog.HostedFile
	Offset int64 // place of the release in the bundle
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

// ErrBundleRefused is wrapped by errors about a bundle whose key was revoked, or which has
// expired, while it was applied.
var ErrBundleRefused = errors.New("nothing was changed")

// ApplyBundle stores the products of a bundle in upstream's layer, all or nothing. It adds
// products that the store does not have. It does not change the settings of existing
// products. If the bundle was applied before, it only records that its files are sound.
//
// ApplyBundle stages new rows in short transactions, and the last transaction makes all of
// them visible. It reads and stages the releases page by page, so that it takes little
// memory.
//
// The error wraps [ErrOldBundle] if another bundle of the store with the same or a higher
// sequence number of a product was applied before.
func (s *Store) ApplyBundle(ctx context.Context, b Bundle, products []*BundleProduct) (results []BundleResult, err error) {
	im := bundleImport{Store: s, bundle: b, products: products}
	for range maxTries {
		if err = nil; im.parts == nil {
			im.abandon(ctx)
			err = im.claim(ctx)
		}
		if err == nil {
			err = im.prepare(ctx)
		}
		if err == nil && b.Place != nil && !b.DryRun {
			err = b.Place()
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
	products []*BundleProduct
	parts    []*bundlePart // of the products, in their order
	stage    *stage        // nil for a dry run
}

// bundlePart is the part of an import that changes one product. Each page of its releases is
// compared and staged by a [releaseImport] of its own.
type bundlePart struct {
	of       *BundleProduct
	product  product
	isNew    bool          // the product is not visible yet
	last     AppliedBundle // last bundle that was applied to the product, or zero
	compared bool          // the fields below are set

	since         catalog.Revision // of the catalog that was compared
	releases      ImportResult
	hosted        int
	staged        bool
	rows          []bundleRow // to be written by the last transaction
	changedHosted []hostedRow // the same
	sound         []string    // SHA-256 of the contents that are recorded as damaged
}

// bundleRow is a changed row. Long notes are read again when they are written.
type bundleRow struct {
	storedLayer
	release BundleRelease // without its layer and files
	reread  bool
}

// maxNotes is the maximum length of the notes in a [bundleRow], in bytes.
const maxNotes = 256

// abandon gives up the stage after an error, so that other imports need not wait.
func (im *bundleImport) abandon(ctx context.Context) {
	if im.stage != nil {
		im.abandonStage(ctx, im.stage)
	}
}

// claim looks up the products of the bundle and stages missing ones. It claims the right to
// stage releases of all products.
func (im *bundleImport) claim(ctx context.Context) (err error) {
	names := map[string]bool{}
	for _, p := range im.products {
		if err := catalog.CheckProduct(p.Product); err != nil {
			return err
		}
		if names[p.Product.Name] {
			return fmt.Errorf("product %s is listed twice", p.Product.Name)
		}
		names[p.Product.Name] = true
	}
	find := func(tx *sql.Tx) (ids []int64, err error) {
		im.parts = nil
		for _, p := range im.products {
			part := &bundlePart{of: p, product: product{Product: p.Product}}
			found, err := productNamed(ctx, tx, p.Product.Name)
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
	damaged, err := im.DamagedContents(ctx)
	if err != nil {
		return err
	}
	for _, part := range im.parts {
		if part.compared {
			continue
		}
		if err := im.compare(ctx, part, damaged); err != nil {
			return fmt.Errorf("product %s: %w", part.product.Name, err)
		}
		part.compared = true
	}
	return nil
}

// lastApplied returns the last bundle of the store that was applied to a product, or zero.
func (im *bundleImport) lastApplied(ctx context.Context, q querier, product int64) (AppliedBundle, error) {
	last, err := queryOne(ctx, q, nil, scanApplied, selectApplied+" WHERE applied_bundle.product = $1 AND applied_bundle.store = $2", product, im.bundle.Store)
	return last, im.explain(err)
}

func (p *bundlePart) repeated(b Bundle) bool { return p.last.Bundle == b.ID }

func (p *bundlePart) result(b Bundle) BundleResult {
	return BundleResult{Product: p.product.Name, New: p.isNew, Repeated: p.repeated(b), Releases: p.releases, Hosted: p.hosted}
}

func (r BundleResult) changes() bool {
	return r.Releases.Added+r.Releases.Changed+r.Releases.Gone+r.Hosted > 0
}

func (r BundleResult) String() string {
	if r.Hosted == 0 {
		return r.Releases.String()
	}
	return fmt.Sprintf("%s; %s", r.Releases, printable.Count(int64(r.Hosted), "file"))
}
