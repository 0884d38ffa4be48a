package db

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// prepare looks up the builds of a batch. It needs transactions only for new ones.
func (l *postgresWriter) prepare(ctx context.Context, b *batch, checks map[buildKey]int64, now time.Time) error {
	l.builds.startDay(now)
	if !l.builds.stale {
		err := l.fill(b, checks, func(key buildKey) (buildID, error) {
			if id, ok := l.builds.known(key); ok {
				return id, nil
			}
			return buildID{}, errUnknown
		})
		if err != errUnknown {
			return err
		}
	}
	again := func(err error) bool { return err == errCreated || l.store.retryable(err) }
	return retry(ctx, again, func() error {
		missing, err := l.lookUp(ctx, b, checks)
		if err == nil && len(missing) > 0 {
			err = createBuilds(ctx, l.conn, missing)
		}
		if err != nil {
			l.builds.forget()
			return err
		}
		if len(missing) > 0 {
			l.builds.forgetIDs(missing)
			return errCreated
		}
		return nil
	})
}

// lookUp prepares the rows of a batch, and returns the builds that must be created first.
func (l *postgresWriter) lookUp(ctx context.Context, b *batch, checks map[buildKey]int64) (missing []newBuild, err error) {
	find := func(ctx context.Context, q querier, product int64, key buildKey) (int64, error) {
		id, err := findBuild(ctx, q, product, key)
		if id == 0 && err == nil {
			missing = append(missing, newBuild{product, key})
		}
		return id, err
	}
	err = transact(ctx, l.conn, func(tx *sql.Tx) error {
		missing = nil
		if err := l.builds.refresh(ctx, tx); err != nil {
			return err
		}
		return l.fill(b, checks, func(key buildKey) (buildID, error) { return l.builds.id(ctx, tx, key, find) })
	})
	return missing, err
}

var (
	// errUnknown is returned if a build must be read from the store.
	errUnknown = errors.New("build is not cached")
	// errCreated is returned if builds were created, and must be read again.
	errCreated = errors.New("builds were created")
)

// newBuild is a build that is to be created.
type newBuild struct {
	product int64
	key     buildKey
}

// insertBuilds numbers the new builds of each product. A product that was removed meanwhile
// gets none. One that is being removed is left for the next attempt, because the removal may
// take long, and new builds of all products would wait for it.
const insertBuilds = `INSERT INTO build (product, version, os, arch, id)
	SELECT row.product, row.version, row.os, row.arch,
		(SELECT COALESCE(MAX(id), 0) FROM build WHERE build.product = row.product) + row_number() OVER (PARTITION BY row.product)
	FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS row (product, version, os, arch)
	JOIN (SELECT id FROM product WHERE id = ANY($1) AND name IS NOT NULL FOR KEY SHARE SKIP LOCKED) AS product ON product.id = row.product
	WHERE NOT EXISTS (SELECT 1 FROM build WHERE build.product = row.product
		AND build.version = row.version AND build.os = row.os AND build.arch = row.arch)`

// createBuilds creates those of the builds that do not exist. Servers do so one after the
// other: transactions that number builds at the same time would block each other until
// PostgreSQL ends one of them, a second later. The lock is held for no longer than the
// statements run, even if this process is stopped, because they are sent at once.
func createBuilds(ctx context.Context, c *sql.Conn, builds []newBuild) error {
	n := len(builds)
	product, version, os, arch := make([]int64, n), make([]string, n), make([]string, n), make([]string, n)
	for i, b := range builds {
		product[i], version[i], os[i], arch[i] = b.product, b.key.version, b.key.platform.OS, b.key.platform.Arch
	}
	var batch pgx.Batch
	batch.Queue("BEGIN ISOLATION LEVEL READ COMMITTED") // so that each statement sees what was created while it waited for the lock
	batch.Queue("LOCK TABLE build IN SHARE ROW EXCLUSIVE MODE")
	batch.Queue(insertBuilds, product, version, os, arch)
	batch.Queue("COMMIT")
	err := send(ctx, c, &batch)
	if err != nil {
		c.ExecContext(ctx, "ROLLBACK")
	}
	return err
}

// createBuilds is like the function createBuilds, on a connection of its own.
func (s *Store) createBuilds(ctx context.Context, builds []newBuild) error {
	c, err := s.main.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return retry(ctx, s.retryable, func() error { return createBuilds(ctx, c, builds) })
}
