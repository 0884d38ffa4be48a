package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"relcheck/checker/catalog"
)

// releaseChange is the effect of an import on one release.
type releaseChange struct {
	rows  []storedLayer // to be written
	isNew bool          // upstream has not listed it before
	ImportResult
}

// bodyKey identifies the release notes of one source.
type bodyKey struct {
	tag    string
	source catalog.Source
}

// bodyHash identifies release notes, which are too large to be kept for all releases.
type bodyHash [sha256.Size]byte

// readBodies returns the hashes of the release notes of releases that were changed after a
// revision.
func (p *releaseImport) readBodies(ctx context.Context, q querier, after int64) (map[bodyKey]bodyHash, error) {
	hashes := map[bodyKey]bodyHash{}
	err := eachRow(ctx, q, func(rows *sql.Rows) error {
		var key bodyKey
		var body sql.RawBytes
		err := rows.Scan(&key.tag, &key.source, &body)
		hashes[key] = sha256.Sum256(body)
		return err
	}, "SELECT tag, layer, body FROM release_layer WHERE product = $1 AND revision > $2 AND body IS NOT NULL", p.of.id, after)
	return hashes, err
}

// compare returns the change of a given release, which is stored as old, or nil. bodies has
// the hashes of the stored release notes.
func (p *releaseImport) compare(tag string, old *storedRelease, bodies map[bodyKey]bodyHash) *releaseChange {
	e, o := p.given[tag], new(releaseChange)
	key, id := releaseKey{p.of.id, tag}, int64(0)
	if old != nil {
		id = old.id()
	}
	before := old.layer(catalog.Upstream)
	isNew := old == nil || old.layers[catalog.Upstream] == nil
	if e.Draft {
		if !isNew && !before.Gone {
			p.markGone(o, key, id, before)
		}
		return o
	}
	overlay := func(source catalog.Source, given catalog.Layer) (layer catalog.Layer, changed bool) {
		if given.Text != nil && sha256.Sum256([]byte(*given.Text)) == bodies[bodyKey{tag, source}] {
			given.Text = nil // unchanged
		}
		before := old.layer(source)
		layer = before.Overlay(given)
		if source == catalog.Upstream {
			layer.Gone = given.Gone
		}
		return layer, len(before.Differences(&layer)) > 0
	}
	list := p.list.Name
	if e.Operator != nil { // of an export, which names the list that the release is from
		list = e.Upstream.List
	}
	layer, changed := overlay(catalog.Upstream, e.Upstream)
	onlyOperator := isNew && !changed && e.Operator != nil && list == ""
	if !onlyOperator && (isNew || changed || before.List == "" && list != "") {
		layer.List, o.isNew = list, isNew
		o.rows = append(o.rows, storedLayer{layerKey{key, catalog.Upstream}, id, layer})
	}
	if e.Operator != nil {
		if layer, differs := overlay(catalog.Operator, *e.Operator); differs || onlyOperator && old == nil {
			o.rows, changed = append(o.rows, storedLayer{layerKey{key, catalog.Operator}, id, layer}), true
		}
	}
	switch {
	case old == nil:
		o.Added++
	case changed:
		o.Changed++
	default:
		o.Unchanged++
	}
	return o
}

func (p *releaseImport) markGone(o *releaseChange, key releaseKey, id int64, layer catalog.Layer) {
	layer.Gone, o.Gone = true, 1
	o.rows = append(o.rows, storedLayer{layerKey{key, catalog.Upstream}, id, layer})
}

// findGone adds the changes of the releases that the list does not contain any more, and
// returns their tags.
func (p *releaseImport) findGone(stored map[releaseKey]*storedRelease) (tags []string) {
	for key, r := range stored {
		layer := r.layer(catalog.Upstream)
		if p.given[key.tag] != nil || p.unread[key.tag] || layer.List != p.list.Name || layer.Gone || layer.List == "" {
			continue
		}
		if date := layer.Date(); !p.list.Whole && (date.IsZero() || p.oldest.IsZero() || date.Before(p.oldest)) {
			continue
		}
		o := new(releaseChange)
		p.markGone(o, key, r.id(), layer)
		p.changes[key.tag] = o
		tags = append(tags, key.tag)
	}
	slices.Sort(tags)
	return tags
}

// checkGone returns an error if releases are missing that the list should contain.
func (p *releaseImport) checkGone(stored map[releaseKey]*storedRelease, gone []string) error {
	if len(gone) == 0 || p.force {
		return nil
	}
	listed, releases := 0, make([]catalog.Release, 0, len(stored))
	scheme := p.of.Scheme()
	for key, r := range stored {
		if layer := r.layer(catalog.Upstream); layer.List == p.list.Name && !layer.Gone {
			listed++
		}
		releases = append(releases, r.merge(scheme, key.tag))
	}
	if 2*len(gone) > listed {
		return fmt.Errorf("it lacks %d of %d releases: %w", len(gone), listed, ErrMissing)
	}
	latest := p.of.Offer(p.of.Rank(releases), nil, time.Now()).Latest
	if !p.list.Whole && latest != nil && slices.Contains(gone, latest.Tag) {
		return fmt.Errorf("it lacks %s, the latest release: %w", latest.Tag, ErrMissing)
	}
	return nil
}
