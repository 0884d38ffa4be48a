-- relcheck: the data model.
--
-- The same text serves SQLite and PostgreSQL. Times are seconds since
-- 1970-01-01 UTC, days are days since then, URLs are absolute. All that belongs
-- to a product has the product first in its key.

-- One row a fact about the store itself:
--   application  marks the store as relcheck's: 0x52656c43, "RelC"
--   schema       the version of this data model
--   catalog      grows by one whenever a product or a release changes; a running
--                server looks at it to notice what another process has changed
--   marked       how many of those changes are marked in product.revision and
--                release.revision; only relcheck of schema 2 does not mark them
--   dropped      setting 'catalog' after the last removal of a product
--   releases     a bound: there are no more releases than that
--   store        a random number that identifies the store; its backups and copies
--                have it too
--   product      the last product.id given out
--   node         the last node given out, see report
--   removed      the highest seq among the reports that were ever removed
--   shred        how many removals there were whose reports may still be found in
--                the bytes of a SQLite file
--   swept        when somebody last looked for what has been kept for long enough
--   audit        the last audit.id given out
--   expired      reports that came in before this time may have been removed for that
--   proxy        1 while all requests seem to come by a proxy that the server does not
--                trust, else 0; doctor warns of it
CREATE TABLE setting (
    name  TEXT   PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO setting (name, value) VALUES
    ('application', 1382378563), ('schema', 3), ('store', 0), ('catalog', 1), ('marked', 0), ('dropped', 0), ('releases', 0), ('product', 0), ('node', 0), ('removed', 0),
    ('shred', 0), ('swept', 0), ('audit', 0), ('expired', 0), ('proxy', 0);

-- Something that is released, and that clients ask about.
CREATE TABLE product (
    id       BIGINT PRIMARY KEY,  -- never given out twice
    name     TEXT UNIQUE,         -- as it stands in URLs: opa. NULL while all of it is being removed
    title    TEXT NOT NULL,       -- as people call it: Open Policy Agent
    repo     TEXT NOT NULL,       -- owner/name in the sense of GitHub's API, or ''
    module   TEXT NOT NULL,       -- Go module path to sync releases from, or ''
    download TEXT NOT NULL,       -- template of a download URL, or ''
    notes    TEXT NOT NULL,       -- template of a release notes URL, or ''
    origins  TEXT NOT NULL DEFAULT '',  -- origins of web pages whose reports are recorded, separated by spaces
    revision BIGINT NOT NULL DEFAULT 0  -- setting 'catalog' after the last change of the product or of one of its releases
);

CREATE INDEX product_repo ON product (lower(repo));
CREATE INDEX product_revision ON product (revision);

-- A published version of a product.
CREATE TABLE release (
    product    BIGINT  NOT NULL REFERENCES product (id),
    version    TEXT    NOT NULL,  -- canonical, by which two spellings are one: v0.19.2
    tag        TEXT    NOT NULL,  -- as the product spells it: 0.19.2
    notes      TEXT    NOT NULL,  -- URL, or '' for the product's template
    date       BIGINT,            -- when it was published, or NULL if not known
    prerelease BOOLEAN NOT NULL,
    retracted  TEXT    NOT NULL,  -- why its source takes it back, or ''
    withdrawn  BOOLEAN,           -- what the operator decided; NULL follows the source
    revision   BIGINT  NOT NULL DEFAULT 0,  -- setting 'catalog' after the last change of the release; -1 while it is staged and nobody is to see it
    PRIMARY KEY (product, version)
);

CREATE INDEX release_revision ON release (product, revision);

-- An import that stages new releases of a product until all of them are there.
CREATE TABLE stage (
    product BIGINT PRIMARY KEY,  -- product.id
    id      BIGINT NOT NULL,     -- a random number of the import
    at      BIGINT NOT NULL      -- when it has last written; some seconds later it counts as killed
);

-- The file of a release for one platform.
CREATE TABLE asset (
    product BIGINT NOT NULL,
    version TEXT   NOT NULL,
    os      TEXT   NOT NULL,  -- as Go names it: darwin
    arch    TEXT   NOT NULL,  -- as Go names it: amd64
    url     TEXT   NOT NULL,
    PRIMARY KEY (product, version, os, arch),
    FOREIGN KEY (product, version) REFERENCES release (product, version)
);

-- What a report is counted under. Published versions have builds of their own;
-- of all others only so many builds a day do, and the rest share the version 'other'.
-- So do platforms that Go does not build for: 'other', 'other'.
CREATE TABLE build (
    product BIGINT NOT NULL REFERENCES product (id),
    version TEXT   NOT NULL,  -- as it was reported, with or without a leading v
    os      TEXT   NOT NULL,
    arch    TEXT   NOT NULL,
    id      BIGINT NOT NULL,
    PRIMARY KEY (product, version, os, arch),
    UNIQUE (product, id)
);

-- The log: one row a report that was answered with status 200. It holds no
-- address, no host or user name and no header of the request.
--
-- The upper bits of seq, from 2^40 on, are the number of the node that recorded
-- it, and the lower ones count. A node is one connection that writes, so that
-- what a node has recorded becomes visible in the order of seq: a reader who
-- remembers how far it has come with each node misses nothing, however late a
-- transaction commits. SQLite, with its one writer, is node 0 for good.
CREATE TABLE report (
    product  BIGINT NOT NULL,  -- product.id
    seq      BIGINT NOT NULL,  -- never used twice
    at       BIGINT NOT NULL,  -- when it came in
    build    BIGINT NOT NULL,  -- build.id
    instance BYTEA  NOT NULL,  -- the 16 bytes of the process's random id
    heap     BIGINT,           -- heap in use in bytes, or NULL if not told
    PRIMARY KEY (product, seq)
);

-- How a product's log is folded into rollups, step by step.
CREATE TABLE fold (
    product BIGINT PRIMARY KEY,  -- product.id
    step    BIGINT NOT NULL,     -- grows by one with each; of two at once, only one succeeds
    sample  BIGINT NOT NULL,     -- one of 2^sample ids is followed, see life
    at      BIGINT NOT NULL      -- when the newest report came in that was folded
);

-- How far the log has been folded: up to this seq of a node, with it.
CREATE TABLE mark (
    product BIGINT NOT NULL,  -- product.id
    node    BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    PRIMARY KEY (product, node)
);

-- What the reports of one build add up to in a day, in a week from Monday to
-- Sunday, or in four such weeks. Those of a year are read without their sketches.
-- What is longer than a day is made when it is over, which is once fold.at is of a
-- later day; weeks that are here before that are not read.
CREATE TABLE rollup (
    product BIGINT NOT NULL,  -- product.id
    span    BIGINT NOT NULL,  -- how many days it covers: 1, 7 or 28
    day     BIGINT NOT NULL,  -- the first of them
    build   BIGINT NOT NULL,  -- build.id
    reports BIGINT NOT NULL,
    ids     BIGINT NOT NULL,  -- distinct, see sketch
    started BIGINT NOT NULL,  -- ids whose first report is of this day; 0 for longer spans
    again   BIGINT NOT NULL,  -- those of them that have reported again since
    PRIMARY KEY (product, span, day, build)
);

-- The part of a rollup that merges with others: distinct ids by the heap that
-- they reported, and the highest heap of each on a day, or in longer rollups how many
-- days they reported each heap on, in the form of package stats. No id can be
-- read from it; but who has the store and an id can tell whether it is among them.
CREATE TABLE sketch (
    product BIGINT NOT NULL,
    span    BIGINT NOT NULL,
    day     BIGINT NOT NULL,
    build   BIGINT NOT NULL,
    data    BYTEA  NOT NULL,
    PRIMARY KEY (product, span, day, build)
);

-- An id that has reported in the last days, to tell whether it reports again.
-- Of very many, only a sample is followed: see fold.sample.
CREATE TABLE life (
    product BIGINT NOT NULL,  -- product.id
    id      BIGINT NOT NULL,  -- a keyed hash of the id, from which it cannot be told
    build   BIGINT NOT NULL,  -- build.id
    first   BIGINT NOT NULL,  -- when its first report came in
    last    BIGINT NOT NULL,  -- and its last one
    PRIMARY KEY (product, id)
);

-- How often a build was asked about without an id, by day. Such questions come
-- from clients that send no report; they are counted at best effort.
CREATE TABLE checks (
    product BIGINT NOT NULL,  -- product.id
    day     BIGINT NOT NULL,
    build   BIGINT NOT NULL,  -- build.id
    count   BIGINT NOT NULL,
    PRIMARY KEY (product, day, build)
);

-- What lets a person or a program in. The token itself is not kept.
CREATE TABLE token (
    id      TEXT   PRIMARY KEY,  -- the part of it that may be shown
    name    TEXT   NOT NULL,     -- what it is for, in the words of who made it
    scope   TEXT   NOT NULL,     -- what it lets do: read, release or admin
    hash    BYTEA  NOT NULL,     -- SHA-256 of the whole token, of 256 random bits
    created BIGINT NOT NULL,
    used    BIGINT,              -- when it was last used, to the hour, or NULL if never
    revoked BIGINT               -- when it was taken back, or NULL
);

-- A sign-in link. Using it deletes the row and adds a session; revoking its token
-- deletes the row too.
CREATE TABLE link (
    hash    BYTEA  PRIMARY KEY,  -- SHA-256 of the link's secret, which has 256 random bits
    token   TEXT   NOT NULL,     -- token.id that the session gets
    expires BIGINT NOT NULL      -- when the link ends if it is not used
);

-- A signed-in browser. Signing out deletes the row; so does revoking its token.
CREATE TABLE session (
    hash    BYTEA  PRIMARY KEY,  -- SHA-256 of the session's cookie, which has 256 random bits
    token   TEXT   NOT NULL,     -- token.id whose read access the session has
    expires BIGINT NOT NULL      -- when the session ends
);

-- Random bytes that nobody else may know, made with the store:
--   ids  keys the hashes of ids, so that nobody can make ids that count for many
CREATE TABLE secret (
    name  TEXT  PRIMARY KEY,
    value BYTEA NOT NULL
);

-- What was changed, and by whom: one row a change of a product, a release or a
-- token, written with the change. It outlives what it is about, and holds nothing
-- of those who report, no address and no name of a person.
CREATE TABLE audit (
    id      BIGINT PRIMARY KEY,  -- in the order of the changes
    at      BIGINT NOT NULL,     -- when it was made
    who     TEXT   NOT NULL,     -- token.id, 'command line' or 'server'
    action  TEXT   NOT NULL,     -- what was done: release.added
    product TEXT   NOT NULL,     -- product.name, or '' if it is not about one
    detail  TEXT   NOT NULL      -- which release or token, and what of it, in words
);
