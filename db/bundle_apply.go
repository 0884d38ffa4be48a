package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"relcheck/checker/catalog"
)

// Bundle identifies a bundle to apply.
type Bundle struct {
	ID      string
	Store   string    // ID of the store that has created it
	Expires time.Time // zero if it never expires
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

// compare compares a product with the store, and stages new rows.
func (im *bundleImport) compare(ctx context.Context, part *bundlePart, damaged map[string]bool) (err error) {
	*part = bundlePart{of: part.of, product: part.product, isNew: part.isNew}
	if part.last, err = im.lastApplied(ctx, im.read, part.product.id); err != nil {
		return err
	}
	repeated := part.repeated(im.bundle)
	if !repeated && part.last.Sequence >= part.of.Sequence {
		return fmt.Errorf("%w: the bundle has sequence number %d, and %d was applied at %s", ErrOldBundle, part.of.Sequence, part.last.Sequence, part.last.Applied.Format(time.RFC3339))
	}
	if err := im.begin(ctx, part); err != nil || repeated && len(damaged) == 0 {
		return err
	}
	given := map[string]bool{}
	var page []BundleRelease
	size := 0
	for r, err := range part.of.Releases {
		if err != nil {
			return err
		}
		for _, f := range r.Hosted {
			if damaged[f.SHA256] {
				part.sound = append(part.sound, f.SHA256)
			}
		}
		if repeated {
			continue
		}
		if given[r.Tag] {
			return fmt.Errorf("release %s is listed twice", r.Tag)
		}
		given[r.Tag] = true
		page = append(page, r)
		if size += 300*(1+len(r.Layer.Files)+len(r.Hosted)) + len(*cmp.Or(r.Layer.Text, new(""))); size > 2<<20 || len(page) == 100 {
			if err := im.comparePage(ctx, part, page); err != nil {
				return err
			}
			page, size = page[:0], 0
		}
	}
	if repeated {
		return nil
	}
	if err := im.comparePage(ctx, part, page); err != nil {
		return err
	}
	return im.compareGone(ctx, part, given)
}

// begin reads the product, and removes what an earlier comparison has staged.
func (im *bundleImport) begin(ctx context.Context, part *bundlePart) error {
	state, err := readCatalogState(ctx, im.read)
	if err == nil {
		part.since = state.Revision
	}
	if err == nil && !part.isNew {
		part.product, err = productNamed(ctx, im.read, part.product.Name)
		if errors.Is(err, ErrNotFound) { // removed meanwhile: start over
			im.parts, err = nil, errCatalogMoved
		}
	}
	if err == nil && im.stage != nil {
		err = im.emptyStage(ctx, im.stage, part.product.id)
	}
	return im.explain(err)
}

// comparePage compares some releases with the store, and stages new rows.
func (im *bundleImport) comparePage(ctx context.Context, part *bundlePart, page []BundleRelease) error {
	if len(page) == 0 {
		return nil
	}
	byTag, tags := map[string]BundleRelease{}, []string{}
	list := catalog.List{Name: catalog.BundleList(im.bundle.Store), Whole: true, Exact: true}
	hosted := map[string][]catalog.HostedFile{}
	for _, r := range page {
		list.Entries = append(list.Entries, catalog.Entry{Tag: r.Tag, Upstream: r.Layer})
		tags, hosted[r.Tag] = append(tags, r.Tag), r.Hosted
		r.Layer, r.Hosted = catalog.Layer{}, nil
		byTag[r.Tag] = r
	}
	return im.importPage(ctx, part, list, tags, hosted, byTag)
}

// compareGone marks the releases that earlier bundles of the store contained and that are
// not among the given ones.
func (im *bundleImport) compareGone(ctx context.Context, part *bundlePart, given map[string]bool) error {
	list := catalog.List{Name: catalog.BundleList(im.bundle.Store), Whole: true, Exact: true}
	tags, err := query(ctx, im.read, scanValue[string], "SELECT tag FROM release_layer WHERE product = $1 AND layer = 0 AND list = $2 AND NOT gone AND revision <> -1",
		part.product.id, list.Name)
	if err != nil {
		return im.explain(err)
	}
	tags = slices.DeleteFunc(tags, func(tag string) bool { return given[tag] })
	slices.Sort(tags)
	for page := range slices.Chunk(tags, 100) {
		if err := im.importPage(ctx, part, list, page, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// importPage compares the releases with some tags with a list, and stages new rows.
func (im *bundleImport) importPage(ctx context.Context, part *bundlePart, list catalog.List, tags []string, hosted map[string][]catalog.HostedFile, byTag map[string]BundleRelease) error {
	r, err := im.newImport(part.product.Name, []catalog.List{list}, true)
	if err != nil {
		return err
	}
	r.of, r.isNew, r.only, r.hosted.given = part.product, part.isNew, tags, hosted
	if err := r.load(ctx); err != nil {
		return err
	}
	part.hosted += len(r.hosted.added) + len(r.hosted.changed)
	for _, change := range r.changes {
		part.releases = part.releases.Plus(change.sum())
	}
	if im.stage == nil {
		return nil
	}
	staged, err := r.stageAll(ctx, im.stage)
	if err != nil {
		return err
	}
	part.staged = part.staged || staged
	part.changedHosted = append(part.changedHosted, r.hosted.changed...)
	for _, tag := range r.tags {
		for _, row := range r.changes[tag].rows {
			one := bundleRow{storedLayer: row, release: byTag[tag]}
			if row.Text != nil && len(*row.Text) > maxNotes {
				one.Text, one.reread = nil, true
			}
			part.rows = append(part.rows, one)
		}
	}
	return nil
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
		if err == nil {
			err = im.checkTrust(ctx, tx)
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
	})
	for _, part := range moved {
		part.compared = false
		if part.isNew { // the product was added meanwhile: start over
			im.parts = nil
		}
	}
	return results, err
}

// checkTrust returns an error if the bundle has expired, or if no trusted key may sign all
// of its products. A key may have been revoked since the signature was verified.
func (im *bundleImport) checkTrust(ctx context.Context, tx *sql.Tx) error {
	if now := time.Now(); !im.bundle.Expires.IsZero() && now.After(im.bundle.Expires) {
		return fmt.Errorf("the bundle has expired at %s: %w", im.bundle.Expires.Format(time.RFC3339), ErrBundleRefused)
	}
	in, list := im.inList("$1", im.bundle.Keys)
	scopes, err := query(ctx, tx, scanValue[string], "SELECT products FROM trusted_key WHERE key "+in+" AND revoked = 0", list)
	if err != nil {
		return err
	}
	for _, part := range im.parts {
		if !slices.ContainsFunc(scopes, func(scope string) bool {
			return scope == "" || slices.Contains(strings.Fields(scope), part.product.Name)
		}) {
			return fmt.Errorf("the key of the bundle is not trusted any more for product %s: %w", part.product.Name, ErrBundleRefused)
		}
	}
	return nil
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
	if part.isNew {
		err = im.commitProduct(ctx, tx, part.product)
	}
	if err == nil {
		err = im.writePart(ctx, tx, part)
	}
	if err == nil && !part.repeated(im.bundle) {
		_, err = tx.ExecContext(ctx, `INSERT INTO applied_bundle (product, store, sequence, bundle, applied) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (product, store) DO UPDATE SET sequence = excluded.sequence, bundle = excluded.bundle, applied = excluded.applied`,
			part.product.id, im.bundle.Store, part.of.Sequence, im.bundle.ID, im.bundle.Time.Unix())
	}
	if result := part.result(im.bundle); err == nil && result.changes() {
		err = im.audit(ctx, tx, bundleApplied, part.product.Name, result.String())
	}
	return err
}

// writePart makes staged rows of a product visible, and writes the changed ones.
func (im *bundleImport) writePart(ctx context.Context, tx *sql.Tx, part *bundlePart) error {
	err := im.writeHosted(ctx, tx, part.product.id, part.changedHosted, replaceHosted+"true")
	if err != nil {
		return err
	}
	revision, err := countChange(ctx, tx, part.product.id) // also if only the age of the bundle changes
	if err != nil || !part.staged && len(part.rows)+len(part.changedHosted) == 0 {
		return err
	}
	if err = publish(ctx, tx, part.product.id, revision); err != nil {
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
	return BundleResult{Product: p.product.Name, New: p.isNew, Repeated: p.repeated(b), Releases: p.releases, Hosted: p.hosted}
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
