package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"relcheck/checker/catalog"
)

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
