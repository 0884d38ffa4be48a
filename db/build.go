package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"relcheck/checker"
	"relcheck/checker/stats"
)

// maxCached bounds the builds that are remembered between batches.
const maxCached = 50_000

// buildKey is what a report is counted under, as it was told.
type buildKey struct {
	product, version string
	platform         checker.Platform
}

// inOrder returns the builds of some checks in an order of their own: they get
// their ids in it, and those that are no release their place among so many.
func inOrder(checks map[buildKey]int64) []buildKey {
	return slices.SortedFunc(maps.Keys(checks), func(a, b buildKey) int {
		return cmp.Or(cmp.Compare(a.product, b.product), cmp.Compare(a.version, b.version),
			cmp.Compare(a.platform.OS, b.platform.OS), cmp.Compare(a.platform.Arch, b.platform.Arch))
	})
}

// buildID is the same as it is stored: a product and a build of it.
type buildID struct {
	product, build int64
	other          bool // which is that of many versions
}

// builds finds the ids of builds, and keeps their number bounded.
type builds struct {
	day         int64             // for which these were admitted; starts anew with the process
	admitted    map[buildKey]bool // of versions that are no release, as they were reported
	unpublished map[string]int    // how many those are, by product

	revision int64 // of the catalog, which the rest goes by
	products map[string]*published
	ids      map[buildKey]buildID
}

// published is what has been released of a product.
type published struct {
	product int64
	tags    map[string]bool // without a leading "v"
}

func newBuilds() *builds {
	b := &builds{day: -1}
	b.forget()
	return b
}

// forget drops what may no longer be so.
func (b *builds) forget() {
	b.revision, b.products, b.ids = -1, map[string]*published{}, map[buildKey]buildID{}
}

// refresh forgets what the day or the catalog has made untrue. The revision is
// read in the transaction in which the ids are used, so that nothing changes in
// between.
func (b *builds) refresh(revision int64, now time.Time) {
	b.turn(now)
	if revision != b.revision || len(b.ids) > maxCached {
		b.forget()
		b.revision = revision
	}
}

// turn begins a new day where that has come.
func (b *builds) turn(now time.Time) {
	if day := now.Unix() / 86400; day != b.day {
		b.day, b.admitted, b.unpublished = day, map[buildKey]bool{}, map[string]int{}
		b.forget()
	}
}

// id returns the build's id, and makes one if it is new. The error wraps
// ErrNotFound when there is no such product.
func (b *builds) id(ctx context.Context, q querier, key buildKey) (buildID, error) {
	if id, ok := b.known(key); ok {
		return id, nil
	}
	of, err := b.publishedOf(ctx, q, key.product)
	if err != nil {
		return buildID{}, err
	}
	key = b.stored(of, key)
	id := buildID{product: of.product, other: key.version == stats.Other}
	if id.build, err = findBuild(ctx, q, of.product, key); err == nil {
		b.ids[key] = id
	}
	return id, err
}

// known returns the build's id if it takes no query to tell.
func (b *builds) known(key buildKey) (buildID, bool) {
	if id, ok := b.ids[key]; ok {
		return id, true
	}
	of := b.products[key.product]
	if of == nil {
		return buildID{}, false
	}
	id, ok := b.ids[b.stored(of, key)]
	return id, ok
}

// stored returns what a report is stored under, that was told to be key.
func (b *builds) stored(of *published, key buildKey) buildKey {
	if !of.tags[strings.TrimPrefix(key.version, "v")] && !b.admit(key) {
		key.version = stats.Other
	}
	return key
}

// admit tells whether a version that is no release has a build of its own today.
// That of all others takes none of their places.
func (b *builds) admit(key buildKey) bool {
	if key.version == stats.Other || b.admitted[key] || b.unpublished[key.product] >= stats.MaxUnpublished {
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
	tags, err := query(ctx, q, func(rows *sql.Rows) (tag string, err error) {
		err = rows.Scan(&tag)
		return tag, err
	}, "SELECT tag FROM release WHERE product = $1", id)
	if err != nil {
		return nil, err
	}
	of := &published{product: id, tags: make(map[string]bool, len(tags))}
	for _, tag := range tags {
		of.tags[strings.TrimPrefix(tag, "v")] = true
	}
	b.products[product] = of
	return of, nil
}

func findBuild(ctx context.Context, q querier, product int64, key buildKey) (id int64, err error) {
	args := []any{product, key.version, key.platform.OS, key.platform.Arch}
	err = q.QueryRowContext(ctx, "SELECT id FROM build WHERE product = $1 AND version = $2 AND os = $3 AND arch = $4", args...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = q.QueryRowContext(ctx, `INSERT INTO build (product, version, os, arch, id)
			SELECT CAST($1 AS BIGINT), $2, $3, $4, COALESCE(MAX(id), 0) + 1 FROM build WHERE product = $1 RETURNING id`, args...).Scan(&id)
	}
	return id, err
}
