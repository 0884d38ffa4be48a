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
CREATE TABLE stage (
    product BIGINT PRIMARY KEY,
    id      BIGINT NOT NULL,
    at      BIGINT NOT NULL
);
` + layersStep,
	`ALTER TABLE product ADD COLUMN upstreams TEXT NOT NULL DEFAULT '';
ALTER TABLE product ADD COLUMN notes_here BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE product ADD COLUMN links TEXT NOT NULL DEFAULT '';
CREATE TABLE hosted_file (
    product BIGINT NOT NULL,
    tag TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    sha512 TEXT NOT NULL,
    size BIGINT NOT NULL,
    verified BOOLEAN NOT NULL,
    fetched BIGINT NOT NULL,
    damaged BIGINT NOT NULL,
    staged BOOLEAN NOT NULL,
    PRIMARY KEY (product, tag, name)
);
CREATE INDEX hosted_file_content ON hosted_file (sha256);
CREATE TABLE upstream_sync (
    product BIGINT NOT NULL,
    upstream TEXT NOT NULL,
    tried BIGINT NOT NULL,
    succeeded BIGINT NOT NULL,
    error TEXT NOT NULL,
    latest TEXT NOT NULL,
    state BYTEA,
    PRIMARY KEY (product, upstream)
);
CREATE TABLE sync_claim (
    product BIGINT PRIMARY KEY,
    id BIGINT NOT NULL,
    until BIGINT NOT NULL
);
CREATE TABLE trusted_key (
    key TEXT PRIMARY KEY,
    products TEXT NOT NULL,
    added BIGINT NOT NULL,
    revoked BIGINT NOT NULL
);
CREATE TABLE bundle_sequence (
    product BIGINT PRIMARY KEY,
    sequence BIGINT NOT NULL
);
CREATE TABLE applied_bundle (
    product BIGINT NOT NULL,
    store TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    bundle TEXT NOT NULL,
    applied BIGINT NOT NULL,
    PRIMARY KEY (product, store)
);`,
	`ALTER TABLE product ADD COLUMN aliases TEXT NOT NULL DEFAULT '';
ALTER TABLE product ADD COLUMN hosts TEXT NOT NULL DEFAULT '';
ALTER TABLE product ADD COLUMN dialects TEXT NOT NULL DEFAULT '';
UPDATE product SET dialects = 'openpolicyagent' WHERE name = 'opa';`,
	`ALTER TABLE report ADD COLUMN first BOOLEAN;
CREATE TABLE installation_count (
    product BIGINT NOT NULL,
    day BIGINT NOT NULL,
    build BIGINT NOT NULL,
    node BIGINT NOT NULL,
    daily BIGINT NOT NULL,
    weekly BIGINT NOT NULL,
    monthly BIGINT NOT NULL,
    new BIGINT NOT NULL,
    back7 BIGINT NOT NULL,
    back28 BIGINT NOT NULL,
    PRIMARY KEY (product, day, build, node)
);
CREATE TABLE network_run (
    day BIGINT NOT NULL,
    process BIGINT NOT NULL,
    seconds BIGINT NOT NULL,
    PRIMARY KEY (day, process)
);
CREATE TABLE network_count (
    product BIGINT NOT NULL,
    day BIGINT NOT NULL,
    process BIGINT NOT NULL,
    cells TEXT NOT NULL,
    PRIMARY KEY (product, day, process)
);
CREATE TABLE public_week (
    product BIGINT NOT NULL,
    week BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (product, week)
);
ALTER TABLE trusted_key ADD COLUMN counts BOOLEAN NOT NULL DEFAULT false;
INSERT INTO setting (name, value) VALUES ('site', 0);
CREATE TABLE site (
    id BIGINT PRIMARY KEY,
    name TEXT UNIQUE,
    store TEXT NOT NULL,
    key TEXT NOT NULL
);
CREATE TABLE site_product (
    product BIGINT NOT NULL,
    site BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    bundle TEXT NOT NULL,
    threshold BIGINT NOT NULL,
    last_day BIGINT NOT NULL,
    created BIGINT NOT NULL,
    applied BIGINT NOT NULL,
    PRIMARY KEY (product, site)
);
CREATE TABLE site_count (
    product BIGINT NOT NULL,
    site BIGINT NOT NULL,
    span BIGINT NOT NULL,
    day BIGINT NOT NULL,
    build BIGINT NOT NULL,
    reports BIGINT NOT NULL,
    instances BIGINT NOT NULL,
    checks BIGINT NOT NULL,
    daily BIGINT NOT NULL,
    weekly BIGINT NOT NULL,
    monthly BIGINT NOT NULL,
    new BIGINT NOT NULL,
    back7 BIGINT NOT NULL,
    back28 BIGINT NOT NULL,
    heaps BYTEA,
    PRIMARY KEY (product, site, span, day, build)
);`,
	`ALTER TABLE product ADD COLUMN hidden BOOLEAN NOT NULL DEFAULT false;`,
}

// layersStep separates what upstream says about releases from what the operator has decided.
// The operator's layer gets releases of products without an upstream, releases that the
// audit log shows as added or changed by hand, and withdrawals.
//
// A relcheck with schema 2 that has the store open reads views instead of the tables. It
// keeps answering, but cannot change releases any more.
const layersStep = `
ALTER TABLE product ADD COLUMN file TEXT NOT NULL DEFAULT '';
ALTER TABLE product ADD COLUMN prefixes TEXT NOT NULL DEFAULT '';
ALTER TABLE product ADD COLUMN suffix TEXT NOT NULL DEFAULT '';
ALTER TABLE product ADD COLUMN versions TEXT NOT NULL DEFAULT '';
ALTER TABLE product ADD COLUMN min_age BIGINT NOT NULL DEFAULT 0;
ALTER TABLE product ADD COLUMN require_files BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE product ADD COLUMN channels TEXT NOT NULL DEFAULT '';
ALTER TABLE product ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
CREATE INDEX product_revision ON product (revision);
CREATE TABLE release_layer (
    product BIGINT NOT NULL REFERENCES product (id),
    tag TEXT NOT NULL,
    layer BIGINT NOT NULL,
    id BIGINT NOT NULL,
    title TEXT,
    notes TEXT,
    body TEXT,
    created BIGINT,
    published BIGINT,
    prerelease BOOLEAN,
    withdrawn BOOLEAN,
    reason TEXT,
    list TEXT NOT NULL,
    gone BOOLEAN NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (product, tag, layer)
);
CREATE INDEX release_layer_revision ON release_layer (product, revision);
CREATE TABLE file_layer (
    product BIGINT NOT NULL,
    tag TEXT NOT NULL,
    layer BIGINT NOT NULL,
    name TEXT NOT NULL,
    os TEXT NOT NULL,
    arch TEXT NOT NULL,
    id BIGINT NOT NULL,
    url TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    sha512 TEXT NOT NULL,
    media_type TEXT NOT NULL,
    gone BOOLEAN NOT NULL,
    PRIMARY KEY (product, tag, layer, name, os, arch),
    FOREIGN KEY (product, tag, layer) REFERENCES release_layer (product, tag, layer)
);
CREATE TABLE upgraded AS
    SELECT r.*, row_number() OVER (ORDER BY r.product, r.version) AS id,
        CASE WHEN p.repo = '' AND p.module = ''
            OR (p.name, r.tag) IN (SELECT product, detail FROM audit WHERE action = 'release.added')
            OR (p.name, r.tag || ':') IN (SELECT product, rtrim(detail, 'abcdefghijklmnopqrstuvwxyz, ') FROM audit WHERE action = 'release.changed')
        THEN 1 ELSE 0 END AS layer
    FROM release AS r JOIN product AS p ON p.id = r.product;
INSERT INTO release_layer (product, tag, layer, id, notes, published, prerelease, withdrawn, reason, list, gone, revision)
    SELECT product, tag, 0, id, CASE WHEN layer = 0 AND notes <> '' THEN notes END, CASE WHEN layer = 0 THEN date END, CASE WHEN layer = 0 THEN prerelease END,
        CASE WHEN retracted <> '' THEN true END, CASE WHEN retracted <> '' THEN retracted END, '', false, 0
    FROM upgraded WHERE layer = 0 OR retracted <> '';
INSERT INTO release_layer (product, tag, layer, id, notes, published, prerelease, withdrawn, list, gone, revision)
    SELECT product, tag, 1, id, CASE WHEN layer = 1 AND notes <> '' THEN notes END, CASE WHEN layer = 1 THEN date END, CASE WHEN layer = 1 THEN prerelease END,
        withdrawn, '', false, 0
    FROM upgraded WHERE layer = 1 OR withdrawn IS NOT NULL;
INSERT INTO file_layer (product, tag, layer, name, os, arch, id, url, size, sha256, sha512, media_type, gone)
    SELECT u.product, u.tag, u.layer, substr(a.url, length(rtrim(a.url, replace(a.url, '/', ''))) + 1), a.os, a.arch,
        row_number() OVER (ORDER BY a.product, a.version, a.os, a.arch), a.url, 0, '', '', '', false
    FROM asset AS a JOIN upgraded AS u ON u.product = a.product AND u.version = a.version;
INSERT INTO setting (name, value) SELECT 'release', COALESCE(MAX(id), 0) FROM release_layer;
INSERT INTO setting (name, value) SELECT 'file', COALESCE(MAX(id), 0) FROM file_layer;
DROP TABLE upgraded;
DROP TABLE asset;
DROP TABLE release;
CREATE VIEW release AS
    SELECT r.product, CASE WHEN substr(r.tag, 1, 1) = 'v' THEN r.tag ELSE 'v' || r.tag END AS version, r.tag, COALESCE(o.notes, u.notes, '') AS notes,
        COALESCE(o.published, o.created, u.published, u.created) AS date, COALESCE(o.prerelease, u.prerelease, false) AS prerelease, '' AS retracted,
        COALESCE(o.withdrawn, u.gone OR u.withdrawn, u.gone, false) AS withdrawn
    FROM (SELECT DISTINCT product, tag FROM release_layer WHERE revision >= 0) AS r
    LEFT JOIN release_layer AS u ON u.product = r.product AND u.tag = r.tag AND u.layer = 0
    LEFT JOIN release_layer AS o ON o.product = r.product AND o.tag = r.tag AND o.layer = 1;
CREATE VIEW asset AS
    SELECT DISTINCT product, CASE WHEN substr(tag, 1, 1) = 'v' THEN tag ELSE 'v' || tag END AS version, os, arch, url
    FROM file_layer WHERE os <> '' AND url <> '' AND NOT gone;`

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
