package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// steps upgrade each schema to the next, the first one from 1 to 2. Steps that were
// released never change. A step removes nothing that the previous version of relcheck,
// which may have the store open, still reads.
var steps = [SchemaVersion - 1]string{
	`CREATE TABLE audit (
    id      BIGINT PRIMARY KEY,
    at      BIGINT NOT NULL,
    who     TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    product TEXT   NOT NULL,
    detail  TEXT   NOT NULL
);
INSERT INTO setting (name, value) VALUES ('audit', 0);
INSERT INTO setting (name, value) SELECT 'expired', value FROM setting WHERE name = 'swept';`,
	`ALTER TABLE product ADD COLUMN origins TEXT NOT NULL DEFAULT '';
ALTER TABLE product ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
ALTER TABLE release ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
CREATE TABLE session (
    hash    BYTEA  PRIMARY KEY,
    token   TEXT   NOT NULL,
    expires BIGINT NOT NULL
);
CREATE TABLE link (
    hash    BYTEA  PRIMARY KEY,
    token   TEXT   NOT NULL,
    expires BIGINT NOT NULL
);
DELETE FROM secret WHERE name = 'session';
INSERT INTO setting (name, value) VALUES ('store', 0);
INSERT INTO setting (name, value) VALUES ('proxy', 0);
INSERT INTO setting (name, value) VALUES ('marked', 0), ('dropped', 0);
INSERT INTO setting (name, value) SELECT 'releases', count(*) FROM release;
CREATE INDEX product_repo ON product (lower(repo));
CREATE INDEX product_revision ON product (revision);
CREATE INDEX release_revision ON release (product, revision);
CREATE TABLE stage (
    product BIGINT PRIMARY KEY,
    id      BIGINT NOT NULL,
    at      BIGINT NOT NULL
);`,
}

// tablesAt returns the tables of a schema that exist in stores of an older version.
func tablesAt(schema string, version int64) []string {
	later := tables(strings.Join(steps[version-1:], "\n"))
	return slices.DeleteFunc(tables(schema), func(name string) bool { return slices.Contains(later, name) })
}

// upgrade upgrades the schema of a store to SchemaVersion. Each step is one transaction,
// so a crash leaves a complete schema. If several processes try at once, one makes the
// step.
func (s *Store) upgrade(ctx context.Context) error {
	found, err := setting(ctx, s.main, "schema")
	for at := found; err == nil && at < SchemaVersion; at++ {
		var done bool
		err = retry(ctx, s.retryable, func() error {
			return transact(ctx, s.main, func(tx *sql.Tx) (err error) {
				done, err = s.step(ctx, tx, at)
				return err
			})
		})
		if err != nil {
			return fmt.Errorf("upgrade its schema from %d to %d: %w", at, at+1, s.explain(err))
		}
		if done && s.upgraded == 0 {
			s.upgraded = at
		}
	}
	return err
}

// step upgrades to the next schema, unless another process has done so. It first updates
// the version, on which other processes then wait.
func (s *Store) step(ctx context.Context, tx *sql.Tx, from int64) (done bool, err error) {
	n, err := update(ctx, tx, "UPDATE setting SET value = $2 WHERE name = 'schema' AND value = $1", from, from+1)
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.ExecContext(ctx, s.ddl(steps[from-1]))
	if err == nil {
		err = identify(ctx, tx)
	}
	return err == nil, err
}
