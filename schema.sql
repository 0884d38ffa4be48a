-- The data model of relcheck.
--
-- SQLite and PostgreSQL are created from this same text. Unless a comment says
-- otherwise, times are seconds since 1970-01-01 00:00:00 UTC, days are days since
-- 1970-01-01 (UTC), sizes are bytes and URLs are absolute. Every table that belongs
-- to a product has the product first in its primary key. An instance is one running
-- process of a product; each reports under a random UUID, its instance ID.

-- Each row is a number about the store as a whole:
--   application  0x52656c43 ("RelC"), which identifies the database as relcheck's
--   schema       version of this data model
--   store        random ID of the store; its backups and copies have the same one
--   catalog      revision of the catalog: incremented by every change of a product
--                or release. Servers poll it to notice changes by other processes
--   marked       number of changes that were also recorded in product.revision and
--                release_layer.revision. relcheck with schema 2 increments only catalog. If
--                catalog has grown by more than marked, a server reloads the whole
--                catalog
--   dropped      value of catalog at the latest removal of a product
--   releases     upper bound of the number of releases; they are counted only when
--                this exceeds the limit
--   release      highest release_layer.id used so far
--   file         highest file_layer.id used so far
--   product      highest product.id used so far
--   node         highest node number used so far, see report.seq
--   audit        highest audit.id used so far
--   site         highest site.id used so far
--   removed      highest seq among all deleted reports, so that none is used again
--   shred        number of deletions whose reports may still be readable in the bytes
--                of the SQLite file
--   swept        time at which a server last began to delete what had passed its retention
--   expired      reports older than this time may have been deleted for their age
--   proxy        1 while all requests seem to come through a proxy that the server
--                does not trust, otherwise 0; relcheck doctor warns about it
--   server URL   the name ends in the base URL of the server that has started last, with
--                which links begin that commands print; the value is the time at which a
--                server had it first. There is no such row until a server has started
CREATE TABLE setting (
    name  TEXT   PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO setting (name, value) VALUES
    ('application', 1382378563), ('schema', 7), ('store', 0), ('catalog', 1), ('marked', 0), ('dropped', 0), ('releases', 0), ('release', 0), ('file', 0), ('product', 0), ('node', 0), ('removed', 0),
    ('shred', 0), ('swept', 0), ('audit', 0), ('site', 0), ('expired', 0), ('proxy', 0);

-- Each row is a product: a program that has releases.
CREATE TABLE product (
    id       BIGINT PRIMARY KEY,  -- never reused
    name     TEXT UNIQUE,         -- name in URLs: opa. NULL after the product was removed, until all its rows are deleted, and while an import has staged it
    title    TEXT NOT NULL,       -- display name: Open Policy Agent
    repo     TEXT NOT NULL,       -- OWNER/NAME under which clients of GitHub's API request it, or ''
    module   TEXT NOT NULL,       -- paths of Go modules, for relcheck release sync, separated by spaces
    download TEXT NOT NULL,       -- URL template of downloads, or ''
    notes    TEXT NOT NULL,       -- URL template of release notes, or ''
    origins  TEXT NOT NULL DEFAULT '',  -- web origins whose reports are recorded, separated by spaces
    file     TEXT NOT NULL DEFAULT '',  -- template of the names of files to download, or ''
    prefixes TEXT NOT NULL DEFAULT '',  -- prefixes of tags, separated by spaces
    suffix   TEXT NOT NULL DEFAULT '',  -- pattern of suffixes that mark releases, or ''
    versions TEXT NOT NULL DEFAULT '',  -- range of versions that can be the latest release, or ''
    min_age  BIGINT NOT NULL DEFAULT 0, -- seconds between the publication of a release and its first offer
    require_files BOOLEAN NOT NULL DEFAULT false,  -- hold a release back until it has the files that the one before has
    channels TEXT NOT NULL DEFAULT '',  -- one a line: name, range or *, and the word prereleases if they are offered
    revision BIGINT NOT NULL DEFAULT 0, -- value of setting catalog after the last change of the product or one of its releases
    upstreams TEXT NOT NULL DEFAULT '', -- where its releases are read from, separated by spaces: github:OWNER/REPO
    notes_here BOOLEAN NOT NULL DEFAULT false,     -- link to relcheck's page of the release instead of the notes upstream
    links    TEXT NOT NULL DEFAULT '',  -- where links to files lead: upstream, hosted-only, or '' for hosted files if there are any
    aliases  TEXT NOT NULL DEFAULT '',  -- names in other dialects, separated by spaces
    hosts    TEXT NOT NULL DEFAULT '',  -- hosts whose requests belong to it, separated by spaces
    dialects TEXT NOT NULL DEFAULT '',  -- dialects that it answers besides reports and GitHub's, separated by spaces
    hidden   BOOLEAN NOT NULL DEFAULT false  -- left out of the lists of pages
);

CREATE INDEX product_repo ON product (lower(repo));
CREATE INDEX product_revision ON product (revision);

-- Each row is what one source says about a release: a published version of a product.
-- The operator's decisions take precedence over what upstream says. A value that is
-- NULL says nothing. Upstream's rows are never deleted.
CREATE TABLE release_layer (
    product    BIGINT   NOT NULL REFERENCES product (id),
    tag        TEXT     NOT NULL,  -- as upstream spells it: v0.19.2
    layer      BIGINT   NOT NULL,  -- 0 upstream, 1 operator
    id         BIGINT   NOT NULL,  -- identifies the release, the same in both layers
    title      TEXT,
    notes      TEXT,               -- URL of the release notes; '' to use product.notes
    body       TEXT,               -- the release notes, in Markdown
    created    BIGINT,             -- time of the tagged commit
    published  BIGINT,             -- time of publication
    prerelease BOOLEAN,
    withdrawn  BOOLEAN,
    reason     TEXT,               -- why it is withdrawn
    list       TEXT     NOT NULL,  -- name of the list that last contained it, or ''
    gone       BOOLEAN  NOT NULL,  -- the list does not contain it any more
    revision   BIGINT   NOT NULL,  -- value of setting catalog after the last change of the release; -1 while an import has staged it and it is not visible
    PRIMARY KEY (product, tag, layer)
);

CREATE INDEX release_layer_revision ON release_layer (product, revision);

-- Each row is what one source says about a file of a release.
CREATE TABLE file_layer (
    product    BIGINT   NOT NULL,
    tag        TEXT     NOT NULL,
    layer      BIGINT   NOT NULL,
    name       TEXT     NOT NULL,
    os         TEXT     NOT NULL,  -- '' and arch '' if the name determines the platform
    arch       TEXT     NOT NULL,
    id         BIGINT   NOT NULL,  -- identifies the file
    url        TEXT     NOT NULL,  -- '' with a platform: the platform has no file
    size       BIGINT   NOT NULL,  -- in bytes, or 0 if unknown
    sha256     TEXT     NOT NULL,  -- in hexadecimal, or '' if unknown
    sha512     TEXT     NOT NULL,
    media_type TEXT     NOT NULL,
    gone       BOOLEAN  NOT NULL,  -- not a file of the release any more
    PRIMARY KEY (product, tag, layer, name, os, arch),
    FOREIGN KEY (product, tag, layer) REFERENCES release_layer (product, tag, layer)
);

-- Each row is a running import, which stages the new releases of a product and then
-- makes all of them visible at once. A product has one import at a time.
CREATE TABLE stage (
    product BIGINT PRIMARY KEY,  -- product.id
    id      BIGINT NOT NULL,     -- random number that identifies the import
    at      BIGINT NOT NULL      -- time of its last write; 15 seconds later the import counts as killed, and what it staged is removed
);

-- Each row is a hosted file: a file of a release whose content is in the folder of files.
CREATE TABLE hosted_file (
    product  BIGINT  NOT NULL,  -- product.id
    tag      TEXT    NOT NULL,  -- release_layer.tag
    name     TEXT    NOT NULL,  -- unique in the release; it begins with a platform if the file's own name is not: linux-amd64/kubectl
    url      TEXT    NOT NULL,  -- from which it was fetched, or ''
    sha256   TEXT    NOT NULL,  -- of the content, in hexadecimal
    sha512   TEXT    NOT NULL,  -- the same, or '' if it is not known
    size     BIGINT  NOT NULL,  -- in bytes
    verified BOOLEAN NOT NULL,  -- the content has matched a checksum of upstream
    fetched  BIGINT  NOT NULL,  -- time at which the content was stored
    damaged  BIGINT  NOT NULL,  -- time at which the content was found damaged or missing, or 0
    staged   BOOLEAN NOT NULL,  -- true if an import has written it and it is not visible yet
    PRIMARY KEY (product, tag, name)
);

CREATE INDEX hosted_file_content ON hosted_file (sha256);

-- Each row is the result of the last sync of a product with one of its upstreams, or
-- describes the last bundle of a store: upstream is bundle: and its ID.
CREATE TABLE upstream_sync (
    product   BIGINT NOT NULL,  -- product.id
    upstream  TEXT   NOT NULL,  -- one of product.upstreams, or go: and one of product.module
    tried     BIGINT NOT NULL,  -- time of the last attempt
    succeeded BIGINT NOT NULL,  -- time of the last attempt that did not fail, or 0
    error     TEXT   NOT NULL,  -- why the last attempt failed, or ''
    latest    TEXT   NOT NULL,  -- tag of the latest release of upstream at the last success, or ''
    state     BYTEA,            -- identifies the list that was read, so that a later sync can detect changes: JSON, or NULL
    PRIMARY KEY (product, upstream)
);

-- Each row is a running sync of a product with its upstreams. A product has one at a time.
CREATE TABLE sync_claim (
    product BIGINT PRIMARY KEY,  -- product.id
    id      BIGINT NOT NULL,     -- random number that identifies the sync
    until   BIGINT NOT NULL      -- time after which another sync may start; the running one delays it
);

-- Each row is a public key that bundles are verified with.
CREATE TABLE trusted_key (
    key      TEXT   PRIMARY KEY,  -- in the form of Go's signed notes: NAME+HASH+KEY
    products TEXT   NOT NULL,     -- names of the products that its bundles may contain, separated by spaces, or '' for all
    added    BIGINT NOT NULL,
    revoked  BIGINT NOT NULL,     -- time of revocation, or 0
    counts   BOOLEAN NOT NULL DEFAULT false  -- its bundles contain the counts of a site instead of releases
);

-- Each row is the last sequence number of a product in the bundles that were created
-- from this store.
CREATE TABLE bundle_sequence (
    product  BIGINT PRIMARY KEY,  -- product.id
    sequence BIGINT NOT NULL
);

-- Each row is the last bundle of another store that was applied to a product.
CREATE TABLE applied_bundle (
    product  BIGINT NOT NULL,  -- product.id
    store    TEXT   NOT NULL,  -- ID of the store that created the bundle
    sequence BIGINT NOT NULL,  -- sequence number of the product in the bundle
    bundle   TEXT   NOT NULL,  -- ID of the bundle
    applied  BIGINT NOT NULL,  -- time at which it was applied
    PRIMARY KEY (product, store)
);

-- Each row is a build: a version of a product on one platform. Reports are counted by
-- build. Of a product's unreleased versions, the first 100 builds of a day are kept
-- apart; the others count as version 'other'. Platforms that Go does not support, or
-- that a client does not report, count as os 'other', arch 'other'.
CREATE TABLE build (
    product BIGINT NOT NULL REFERENCES product (id),
    version TEXT   NOT NULL,  -- as reported, with or without a leading v
    os      TEXT   NOT NULL,
    arch    TEXT   NOT NULL,
    id      BIGINT NOT NULL,
    PRIMARY KEY (product, version, os, arch),
    UNIQUE (product, id)
);

-- Each row is a report that was answered with status 200. Together they are the log,
-- and the statistics of instances, versions and heaps are computed from it. It holds no
-- address, host name, user name or request header.
--
-- Bits 40 and above of seq are the number of the node that recorded the report, the
-- lower 40 bits count the node's reports. A node is one connection that writes. The
-- reports of a node become visible in the order of seq, so a reader that remembers
-- its position per node misses none, however late a transaction commits. SQLite has
-- one writer, node 0; each PostgreSQL connection that writes is a new node.
CREATE TABLE report (
    product  BIGINT NOT NULL,  -- product.id
    seq      BIGINT NOT NULL,  -- never reused
    at       BIGINT NOT NULL,  -- time at which the server received it
    build    BIGINT NOT NULL,  -- build.id
    instance BYTEA  NOT NULL,  -- the 16 bytes of the instance ID, all zero if the client sent none
    heap     BIGINT,           -- heap usage in bytes, or NULL if not reported; without an instance ID, only of the first report of a day, within 1 %
    first    BOOLEAN,          -- the first report of its day by an installation that remembers its last answer; NULL if the client does not remember
    PRIMARY KEY (product, seq)
);

-- Each row is the progress of folding a product's reports into rollups. A step folds
-- some reports in one transaction.
CREATE TABLE fold (
    product BIGINT PRIMARY KEY,  -- product.id
    step    BIGINT NOT NULL,     -- number of steps; of two processes that attempt the same step, one fails
    sample  BIGINT NOT NULL,     -- one in 2^sample instances has a row in life
    at      BIGINT NOT NULL      -- time of the newest folded report
);

-- Each row is the position of the fold in the reports of one node.
CREATE TABLE mark (
    product BIGINT NOT NULL,  -- product.id
    node    BIGINT NOT NULL,
    seq     BIGINT NOT NULL,  -- report.seq of the last folded report
    PRIMARY KEY (product, node)
);

-- Each row is a rollup: the counts of one build in a period of a day, a week from
-- Monday to Sunday, or four such weeks. Most queries need no sketches, so those have
-- a table of their own. Weeks and four-week periods are written when they are over,
-- that is, when fold.at is of a later day; rows of unfinished ones, which earlier
-- versions wrote, are ignored.
CREATE TABLE rollup (
    product BIGINT NOT NULL,  -- product.id
    span    BIGINT NOT NULL,  -- length of the period in days: 1, 7 or 28
    day     BIGINT NOT NULL,  -- first day of the period
    build   BIGINT NOT NULL,  -- build.id
    reports BIGINT NOT NULL,  -- number of reports
    ids     BIGINT NOT NULL,  -- number of distinct instances, estimated from the sketch
    started BIGINT NOT NULL,  -- instances whose first report is of this day; 0 if span is not 1
    again   BIGINT NOT NULL,  -- how many of those have reported again, 60 seconds later or more
    PRIMARY KEY (product, span, day, build)
);

-- Each row is the part of a rollup that can be merged with others. It counts distinct
-- instances by heap usage, exactly up to 4,096 and by HyperLogLog above. For a day it
-- also has the highest heap usage of each instance (of a sample, if there are more
-- than 4,096), and for longer periods the number of instance-days by heap usage.
-- Instance IDs cannot be read from it. With the store and an instance ID, however,
-- one can test whether that instance has reported.
CREATE TABLE sketch (
    product BIGINT NOT NULL,
    span    BIGINT NOT NULL,
    day     BIGINT NOT NULL,
    build   BIGINT NOT NULL,
    data    BYTEA  NOT NULL,
    PRIMARY KEY (product, span, day, build)
);

-- Each row is an instance that has reported in the last three days, to find out
-- whether it reports again. If a product has more than 20,000 of them, a sample is
-- followed: see fold.sample.
CREATE TABLE life (
    product BIGINT NOT NULL,  -- product.id
    id      BIGINT NOT NULL,  -- keyed hash of the instance ID, which cannot be computed from it
    build   BIGINT NOT NULL,  -- build.id
    first   BIGINT NOT NULL,  -- time of its first report
    last    BIGINT NOT NULL,  -- time of its last report, up to 12 hours too early
    PRIMARY KEY (product, id)
);

-- Each row is the number of checks by a build on one day. A check requests the latest
-- release without an instance ID. Checks are counted in memory and written within
-- a second, so a crash may lose some.
CREATE TABLE checks (
    product BIGINT NOT NULL,  -- product.id
    day     BIGINT NOT NULL,
    build   BIGINT NOT NULL,  -- build.id
    count   BIGINT NOT NULL,
    PRIMARY KEY (product, day, build)
);

-- Each row counts installations that remember the day of their last answer, by the build
-- of a report and its day. The counts of a report are added in its transaction. All rows
-- can be added up: an installation adds at most 1 to each column in the period that the
-- column is about. Nodes have rows of their own so that servers do not wait for each other.
CREATE TABLE installation_count (
    product BIGINT NOT NULL,  -- product.id
    day     BIGINT NOT NULL,
    build   BIGINT NOT NULL,  -- build.id
    node    BIGINT NOT NULL,  -- see report.seq
    daily   BIGINT NOT NULL,  -- first report of the day
    weekly  BIGINT NOT NULL,  -- first report of the week, from Monday to Sunday
    monthly BIGINT NOT NULL,  -- first report of the four weeks
    new     BIGINT NOT NULL,  -- first report ever
    back7   BIGINT NOT NULL,  -- first report after at least 7 days
    back28  BIGINT NOT NULL,  -- first report after at least 28 days
    PRIMARY KEY (product, day, build, node)
);

-- Each row is a token, which gives a person or program access. The token itself is not
-- stored.
CREATE TABLE token (
    id      TEXT   PRIMARY KEY,  -- the public part of the token
    name    TEXT   NOT NULL,     -- what it is for, chosen by the operator
    scope   TEXT   NOT NULL,     -- what it allows: read, release or admin
    hash    BYTEA  NOT NULL,     -- SHA-256 of the token, which has 256 random bits
    created BIGINT NOT NULL,
    used    BIGINT,              -- time of its last use, to the hour, or NULL if unused
    revoked BIGINT               -- time of revocation, or NULL
);

-- Each row is an unused sign-in link. Using it deletes the row and adds a session.
-- Revoking its token also deletes it.
CREATE TABLE link (
    hash    BYTEA  PRIMARY KEY,  -- SHA-256 of the link's secret, which has 256 random bits
    token   TEXT   NOT NULL,     -- token.id that the session will have
    expires BIGINT NOT NULL      -- time after which it is invalid
);

-- Each row is a signed-in browser. Signing out, or revoking its token, deletes the row.
CREATE TABLE session (
    hash    BYTEA  PRIMARY KEY,  -- SHA-256 of the cookie, which has 256 random bits
    token   TEXT   NOT NULL,     -- token.id whose access the session has
    expires BIGINT NOT NULL      -- time at which the session ends
);

-- Each row is a secret random key, created with the store:
--   ids  key of the hash of instance IDs, without which an attacker could choose
--        instance IDs that distort the count of distinct instances
CREATE TABLE secret (
    name  TEXT  PRIMARY KEY,
    value BYTEA NOT NULL
);

-- Each row is a change of a product, release or token, written in the transaction of
-- the change. Rows are never deleted. They hold no address, no name of a person, and
-- nothing about instances.
CREATE TABLE audit (
    id      BIGINT PRIMARY KEY,  -- increases with each change
    at      BIGINT NOT NULL,     -- time of the change
    who     TEXT   NOT NULL,     -- token.id, 'command line' or 'server'
    action  TEXT   NOT NULL,     -- kind of change: release.added
    product TEXT   NOT NULL,     -- product.name, or '' if no product was changed
    detail  TEXT   NOT NULL      -- which release or token, and what has changed, as text
);

-- Each row is a process that has counted networks for the public figures on a day. It is
-- written every minute, also without reports.
CREATE TABLE network_run (
    day     BIGINT NOT NULL,
    process BIGINT NOT NULL,  -- random; a process that counts the same day again, because its clock was set back, has another one
    seconds BIGINT NOT NULL,  -- how long it has counted on that day; of several processes, the longest one supplies the day
    PRIMARY KEY (day, process)
);

-- Each row is what a process has counted of a product on a day: numbers of networks (IPv4 /24,
-- IPv6 /48), but no network in any form. It is deleted when the public document of its week
-- is made.
CREATE TABLE network_count (
    product BIGINT NOT NULL,  -- product.id
    day     BIGINT NOT NULL,
    process BIGINT NOT NULL,  -- network_run.process
    cells   TEXT   NOT NULL,  -- JSON: networks by minor line, OS and architecture of their first report
    PRIMARY KEY (product, day, process)
);

-- Each row is the public document of a product and week, with noise. It is made once and
-- never changes.
CREATE TABLE public_week (
    product  BIGINT NOT NULL,  -- product.id
    week     BIGINT NOT NULL,  -- first day, a Monday
    document TEXT   NOT NULL,  -- JSON, as it is published
    PRIMARY KEY (product, week)
);

-- Each row is a site: another store, whose counts were added with relcheck bundle apply.
CREATE TABLE site (
    id    BIGINT PRIMARY KEY,  -- never reused
    name  TEXT UNIQUE,         -- NULL after the site was removed, until all its counts are deleted
    store TEXT NOT NULL,       -- ID of the store; one site that is not removed has it
    key   TEXT NOT NULL        -- trusted_key.key that has signed its last bundle
);

-- Each row is the last bundle of a site that was applied to a product.
CREATE TABLE site_product (
    product   BIGINT NOT NULL,  -- product.id
    site      BIGINT NOT NULL,  -- site.id
    sequence  BIGINT NOT NULL,  -- sequence number of the product in the bundle
    bundle    TEXT   NOT NULL,  -- ID of the bundle
    threshold BIGINT NOT NULL,  -- all counts of the bundle are multiples of it
    last_day  BIGINT NOT NULL,  -- last day of the counts
    created   BIGINT NOT NULL,  -- time at which the bundle was created
    applied   BIGINT NOT NULL,  -- time at which it was applied
    PRIMARY KEY (product, site)
);

-- Each row has the counts of one build at a site in a period of a day, a week from Monday
-- to Sunday, or four such weeks. Unlike rollups, they cannot be merged: distinct instances
-- of two days cannot be added up. Nothing in them is about single instances.
CREATE TABLE site_count (
    product   BIGINT NOT NULL,  -- product.id
    site      BIGINT NOT NULL,  -- site.id
    span      BIGINT NOT NULL,  -- length of the period in days: 1, 7 or 28
    day       BIGINT NOT NULL,  -- first day of the period
    build     BIGINT NOT NULL,  -- build.id
    reports   BIGINT NOT NULL,
    instances BIGINT NOT NULL,  -- number of distinct instances
    checks    BIGINT NOT NULL,  -- this and the following columns are 0 if span is not 1
    daily     BIGINT NOT NULL,  -- see installation_count
    weekly    BIGINT NOT NULL,
    monthly   BIGINT NOT NULL,
    new       BIGINT NOT NULL,
    back7     BIGINT NOT NULL,
    back28    BIGINT NOT NULL,
    heaps     BYTEA,            -- number of instances by heap usage, or NULL
    PRIMARY KEY (product, site, span, day, build)
);
