package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/version"
)

const maxCached = 50_000

// buildKey is what a report is counted under, as the client reported it.
type buildKey struct {
	product, version string
	platform         checker.Platform
}

// inOrder returns the builds of checks in a fixed order, which determines their IDs and
// about which unreleased versions are among the limited number of builds.
func inOrder(checks map[buildKey]int64) []buildKey {
	return slices.SortedFunc(maps.Keys(checks), func(a, b buildKey) int {
		return cmp.Or(cmp.Compare(a.product, b.product), cmp.Compare(a.version, b.version),
			cmp.Compare(a.platform.OS, b.platform.OS), cmp.Compare(a.platform.Arch, b.platform.Arch))
	})
}

type buildID struct {
	product, build int64
	other          bool // the build that is shared by many versions
}

// builds finds the IDs of builds and limits their number.
type builds struct {
	day         int64             // the day of the next two fields, which are empty after a restart
	admitted    map[buildKey]bool // unreleased versions with a build of their own, as reported
	unpublished map[string]int    // number of admitted versions by product

	revision catalog.Revision // of the catalog that the fields below were read from
	stale    bool             // the catalog has changed since
	products map[string]*published
	ids      map[buildKey]buildID
}

type published struct {
	product int64
	scheme  version.Scheme
	tags    map[string]bool // see [version.Scheme.Trim]
}

func newBuilds() *builds {
	b := &builds{day: -1}
	b.forget()
	return b
}

// forget drops everything that may be out of date.
func (b *builds) forget() {
	b.revision, b.products, b.ids = catalog.Revision{}, map[string]*published{}, map[buildKey]buildID{}
}

// forgetIDs drops the IDs of builds.
func (b *builds) forgetIDs(all []newBuild) {
	for _, n := range all {
		delete(b.ids, n.key)
	}
}

// refresh reads changes of the catalog, in the transaction that uses the IDs, so that
// nothing changes in between.
func (b *builds) refresh(ctx context.Context, q querier) error {
	state, err := readCatalogState(ctx, q)
	switch {
	case err != nil:
		return err
	case !state.follows(b.revision):
		b.forget()
	case state.dropped > b.revision.Changes:
		err = b.dropProducts(ctx, q)
	}
	if err == nil {
		err = b.readTags(ctx, q)
	}
	if err == nil {
		b.revision, b.stale = state.Revision, false
	}
	return err
}

func (b *builds) dropProducts(ctx context.Context, q querier) error {
	remaining, err := productIDs(ctx, q)
	if err != nil {
		return err
	}
	maps.DeleteFunc(b.products, func(_ string, p *published) bool { return !remaining[p.product] })
	maps.DeleteFunc(b.ids, func(_ buildKey, id buildID) bool { return !remaining[id.product] })
	return nil
}

// readTags reads the changed releases of the products that are known.
func (b *builds) readTags(ctx context.Context, q querier) error {
	if len(b.products) == 0 {
		return nil
	}
	tags, err := query(ctx, q, scanTag, "SELECT product.prefixes, release_layer.product, release_layer.tag"+changedLayers, b.revision.Changes)
	if err != nil || len(tags) == 0 {
		return err
	}
	byID := make(map[int64]*published, len(b.products))
	for _, p := range b.products {
		byID[p.product] = p
	}
	for _, t := range tags {
		if p := byID[t.product]; p != nil {
			p.add(t)
		}
	}
	return nil
}

// startDay starts a new day if the date has changed, and bounds the cache.
func (b *builds) startDay(now time.Time) {
	if day := now.Unix() / 86400; day != b.day {
		b.day, b.admitted, b.unpublished = day, map[buildKey]bool{}, map[string]int{}
		clear(b.ids)
	}
	if len(b.ids) > maxCached {
		clear(b.ids)
	}
}

// findFunc returns the ID of a build of a product, given the product's ID.
type findFunc func(ctx context.Context, q querier, product int64, key buildKey) (int64, error)

// id returns the ID of a build, which it looks up with find unless it is known. The error
// wraps ErrNotFound if the product does not exist.
func (b *builds) id(ctx context.Context, q querier, key buildKey, find findFunc) (buildID, error) {
	if id, ok := b.known(key); ok {
		return id, nil
	}
	p, err := b.publishedOf(ctx, q, key.product)
	if err != nil {
		return buildID{}, err
	}
	key = b.stored(p, key)
	id := buildID{product: p.product, other: key.version == rollup.Other}
	if id.build, err = find(ctx, q, p.product, key); err == nil {
		b.ids[key] = id
	}
	return id, err
}

// known returns the ID of a build if that needs no query.
func (b *builds) known(key buildKey) (buildID, bool) {
	if id, ok := b.ids[key]; ok {
		return id, true
	}
	p := b.products[key.product]
	if p == nil {
		return buildID{}, false
	}
	id, ok := b.ids[b.stored(p, key)]
	return id, ok
}

// stored returns the key under which a report with the given key is stored.
func (b *builds) stored(p *published, key buildKey) buildKey {
	if !p.has(key.version) && !b.admit(key) {
		key.version = rollup.Other
	}
	return key
}

// admit reports whether an unreleased version has a build of its own today. The version
// "other" takes no place.
func (b *builds) admit(key buildKey) bool {
	if key.version == rollup.Other || b.admitted[key] || b.unpublished[key.product] >= rollup.MaxUnreleasedBuilds {
		return b.admitted[key]
	}
	b.admitted[key] = true
	b.unpublished[key.product]++
	return true
}

func (b *builds) publishedOf(ctx context.Context, q querier, product string) (*published, error) {
	if known, ok := b.products[product]; ok {
		return known, nil
	}
	id, err := productID(ctx, q, product)
	if err != nil {
		return nil, err
	}
	tags, err := query(ctx, q, scanTag, `SELECT product.prefixes, release_layer.product, release_layer.tag FROM product CROSS JOIN release_layer
		WHERE product.id = $1 AND release_layer.product = product.id AND release_layer.revision <> -1`, id)
	if err != nil {
		return nil, err
	}
	p := &published{product: id, tags: make(map[string]bool, len(tags))}
	for _, t := range tags {
		p.add(t)
	}
	b.products[product] = p
	return p, nil
}

// releaseTag is a release with the tag prefixes of its product.
type releaseTag struct {
	prefixes string
	releaseKey
}

func scanTag(rows *sql.Rows) (t releaseTag, err error) {
	err = rows.Scan(&t.prefixes, &t.product, &t.tag)
	return t, err
}

// add adds a release.
func (p *published) add(t releaseTag) {
	product := catalog.Product{Prefixes: t.prefixes}
	p.scheme = product.Scheme()
	p.tags[p.scheme.Trim(t.tag)] = true
}

// has reports whether a version is that of a release, with or without the prefix of its
// tag.
func (p *published) has(v string) bool { return p.tags[p.scheme.Trim(v)] }

// findBuild returns the ID of a build, or 0 if it does not exist.
func findBuild(ctx context.Context, q querier, product int64, key buildKey) (int64, error) {
	id, err := queryValue[int64](ctx, q, "SELECT id FROM build WHERE product = $1 AND version = $2 AND os = $3 AND arch = $4",
		product, key.version, key.platform.OS, key.platform.Arch)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

// findOrCreateBuild returns the ID of a build, which it creates if needed.
func findOrCreateBuild(ctx context.Context, q querier, product int64, key buildKey) (id int64, err error) {
	if id, err = findBuild(ctx, q, product, key); err != nil || id != 0 {
		return id, err
	}
	return queryValue[int64](ctx, q, `INSERT INTO build (product, version, os, arch, id)
		SELECT CAST($1 AS BIGINT), $2, $3, $4, COALESCE(MAX(id), 0) + 1 FROM build WHERE product = $1 RETURNING id`,
		product, key.version, key.platform.OS, key.platform.Arch)
}
