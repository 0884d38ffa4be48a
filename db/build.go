package db

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"relcheck/checker"
)

const (
	// maxUnpublished is how many versions that are no release of the product
	// may have builds of their own, a product and UTC day.
	maxUnpublished = 100
	// maxCached bounds the builds that are remembered between batches.
	maxCached = 50_000
	// otherVersion is the version of the builds that all others share.
	otherVersion = "other"
)

// buildKey is what a report is counted under.
type buildKey struct {
	product, version string
	platform         checker.Platform
}

// builds finds the ids of builds, and keeps their number bounded.
type builds struct {
	day         int64 // for which versions were admitted; starts anew with the process
	unpublished byProduct

	revision  int64 // of the catalog, which the rest goes by
	published byProduct
	ids       map[buildKey]int64
}

// byProduct holds sets of versions by product: published ones as they are
// tagged, without a leading "v", and unpublished ones as they were reported.
type byProduct map[string]map[string]bool

func newBuilds() *builds {
	b := &builds{day: -1}
	b.forget()
	return b
}

// forget drops what may no longer be so.
func (b *builds) forget() {
	b.revision, b.published, b.ids = -1, byProduct{}, map[buildKey]int64{}
}

// refresh forgets what the day or the catalog has made untrue. It runs inside
// the transaction in which the ids are used, so that nothing changes in between.
func (b *builds) refresh(ctx context.Context, conn *sql.Conn, now time.Time) error {
	revision, err := revision(ctx, conn)
	if err != nil {
		return err
	}
	if day := now.Unix() / 86400; day != b.day {
		b.day, b.unpublished = day, byProduct{}
		b.forget()
	}
	if revision != b.revision || len(b.ids) > maxCached {
		b.forget()
		b.revision = revision
	}
	return nil
}

// id returns the build's id, and makes one if it is new. The error wraps
// ErrNotFound when there is no such product.
func (b *builds) id(ctx context.Context, conn *sql.Conn, key buildKey) (int64, error) {
	if id, ok := b.ids[key]; ok {
		return id, nil
	}
	admitted, err := b.admit(ctx, conn, key.product, key.version)
	if err != nil {
		return 0, err
	}
	if !admitted {
		key.version = otherVersion
		if id, ok := b.ids[key]; ok {
			return id, nil
		}
	}
	id, err := findBuild(ctx, conn, key)
	if err == nil {
		b.ids[key] = id
	}
	return id, err
}

// admit tells whether a version has builds of its own today.
func (b *builds) admit(ctx context.Context, conn *sql.Conn, product, version string) (bool, error) {
	published, err := b.publishedOf(ctx, conn, product)
	if err != nil {
		return false, err
	}
	unpublished := b.unpublished[product]
	if published[strings.TrimPrefix(version, "v")] || unpublished[version] {
		return true, nil
	}
	if len(unpublished) >= maxUnpublished {
		return false, nil
	}
	if unpublished == nil {
		unpublished = map[string]bool{}
		b.unpublished[product] = unpublished
	}
	unpublished[version] = true
	return true, nil
}

func (b *builds) publishedOf(ctx context.Context, conn *sql.Conn, product string) (map[string]bool, error) {
	if known, ok := b.published[product]; ok {
		return known, nil
	}
	tags, err := query(ctx, conn, func(rows *sql.Rows) (tag sql.NullString, err error) {
		err = rows.Scan(&tag)
		return tag, err
	}, "SELECT release.tag FROM product LEFT JOIN release ON release.product = product.name WHERE product.name = $1", product)
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, noProduct(product)
	}
	published := map[string]bool{}
	for _, tag := range tags {
		published[strings.TrimPrefix(tag.String, "v")] = tag.Valid
	}
	b.published[product] = published
	return published, nil
}

func findBuild(ctx context.Context, conn *sql.Conn, key buildKey) (id int64, err error) {
	args := []any{key.product, key.version, key.platform.OS, key.platform.Arch}
	err = conn.QueryRowContext(ctx, "SELECT id FROM build WHERE product = $1 AND version = $2 AND os = $3 AND arch = $4", args...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = conn.QueryRowContext(ctx, `INSERT INTO build (product, version, os, arch, id)
			SELECT $1, $2, $3, $4, COALESCE(MAX(id), 0) + 1 FROM build RETURNING id`, args...).Scan(&id)
	}
	return id, err
}

// placeholders returns "($1,$2,…)" for n parameters after the first skip.
func placeholders(skip, n int) string {
	var s strings.Builder
	for i := range n {
		s.WriteByte("(,"[min(i, 1)])
		s.WriteByte('$')
		s.WriteString(strconv.Itoa(skip + i + 1))
	}
	s.WriteByte(')')
	return s.String()
}
