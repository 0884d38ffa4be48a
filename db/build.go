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

// builds finds the ids of builds, and keeps their number bounded. What it
// remembers holds for one day and one revision of the catalog.
type builds struct {
	day      int64
	revision int64
	ids      map[buildKey]int64
	versions map[string]*versions // by product
}

// versions are those of a product that have builds of their own.
type versions struct {
	published   map[string]bool // as tagged, without a leading "v"
	unpublished map[string]bool // as reported
}

func newBuilds() *builds { return &builds{day: -1} }

// refresh forgets what may have changed. It runs inside the transaction in
// which the ids are used, so that nothing changes in between.
func (b *builds) refresh(ctx context.Context, conn *sql.Conn, now time.Time) error {
	revision, err := revision(ctx, conn)
	day := now.Unix() / 86400
	if err == nil && (day != b.day || revision != b.revision || len(b.ids) > maxCached) {
		*b = builds{day, revision, map[buildKey]int64{}, map[string]*versions{}}
	}
	return err
}

// id returns the build's id, and makes one if it is new. The error wraps
// ErrNotFound when there is no such product.
func (b *builds) id(ctx context.Context, conn *sql.Conn, key buildKey) (int64, error) {
	if id, ok := b.ids[key]; ok {
		return id, nil
	}
	v, err := b.versionsOf(ctx, conn, key.product)
	if err != nil {
		return 0, err
	}
	if !v.admit(key.version) {
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
func (v *versions) admit(version string) bool {
	if v.published[strings.TrimPrefix(version, "v")] || v.unpublished[version] {
		return true
	}
	if len(v.unpublished) >= maxUnpublished {
		return false
	}
	v.unpublished[version] = true
	return true
}

func (b *builds) versionsOf(ctx context.Context, conn *sql.Conn, product string) (*versions, error) {
	if v, ok := b.versions[product]; ok {
		return v, nil
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
	v := &versions{published: map[string]bool{}, unpublished: map[string]bool{}}
	for _, tag := range tags {
		v.published[strings.TrimPrefix(tag.String, "v")] = tag.Valid
	}
	b.versions[product] = v
	return v, nil
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
