package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"relcheck/db/dbfile"
)

// Setting returns a value of table setting. The error wraps [sql.ErrNoRows] if the store
// does not have it.
func (s *Store) Setting(ctx context.Context, name string) (int64, error) {
	return setting(ctx, s.read, name)
}

// WithoutReleases returns the names of the products without releases. Clients have asked
// about the used ones.
func (s *Store) WithoutReleases(ctx context.Context) (used, unused []string, err error) {
	err = eachRow(ctx, s.read, func(rows *sql.Rows) error {
		var name string
		var hasBuilds bool
		err := rows.Scan(&name, &hasBuilds)
		if hasBuilds {
			used = append(used, name)
		} else {
			unused = append(unused, name)
		}
		return err
	}, `SELECT name, EXISTS (SELECT 1 FROM build WHERE build.product = product.id) FROM product
		WHERE name IS NOT NULL AND NOT EXISTS (SELECT 1 FROM release_layer WHERE release_layer.product = product.id) ORDER BY name`)
	return used, unused, err
}

// JournalMode returns the journal mode of a SQLite store.
func (s *Store) JournalMode(ctx context.Context) (mode string, err error) {
	return queryValue[string](ctx, s.read, "PRAGMA journal_mode")
}

// CheckPages checks the pages of a SQLite store without its indexes. The error wraps
// [ErrDamaged] if SQLite finds damage.
func (s *Store) CheckPages(ctx context.Context) error { return checkPages(ctx, s.read, "quick_check") }

// Server describes the PostgreSQL server of a store, and returns the time of its clock.
func (s *Store) Server(ctx context.Context) (description string, clock time.Time, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT current_setting('server_version'), clock_timestamp()").Scan(&description, &clock)
	if p, ok := s.engine.(*postgres); ok && p.pooled {
		description += " behind a connection pooler"
	}
	return "PostgreSQL " + description, clock, s.explain(err)
}

// CheckDurable returns an error if a PostgreSQL store acknowledges commits that a crash
// would lose.
func (s *Store) CheckDurable(ctx context.Context) error { return checkDurable(ctx, s.read) }

// Hazards describes what endangers the file of a store or prevents relcheck from
// detecting a danger, in one sentence each that names what to do.
func (s *Store) Hazards() []string {
	f, ok := s.engine.(*sqliteFile)
	if !ok {
		return nil
	}
	all := []string{dbfile.FolderWarning(f.path), dbfile.HardLinkWarning(f.path), f.handle.Undetectable()}
	return slices.DeleteFunc(all, func(text string) bool { return text == "" })
}

// Undetectable describes which other uses of the store's file cannot be detected on this
// system, or is empty.
func (s *Store) Undetectable() string {
	if f, ok := s.engine.(*sqliteFile); ok {
		return f.handle.Undetectable()
	}
	return ""
}

// LogLost returns an error if the WAL of a killed process was missing when the store was
// opened. The error goes away when a server records into the store.
func (s *Store) LogLost() error {
	if f, ok := s.engine.(*sqliteFile); ok && f.handle.WALLost() {
		return fmt.Errorf("%s: %w", f.path, dbfile.ErrWALLost)
	}
	return nil
}

// RowCounts is the number of rows by table, and the number of releases as "release".
type RowCounts map[string]int64

// Verify checks every page and index of a SQLite store and returns the number of rows by
// table. schema is the text of schema.sql. The error wraps [ErrDamaged] if SQLite finds
// damage.
func (s *Store) Verify(ctx context.Context, schema string) (RowCounts, error) {
	if err := checkPages(ctx, s.read, "integrity_check"); err != nil {
		return nil, err
	}
	version, err := setting(ctx, s.read, "schema")
	if err != nil {
		return nil, err
	}
	return countRows(ctx, s.read, tablesAt(schema, version))
}

// ErrDamaged is wrapped by errors about a file that SQLite finds damaged.
var ErrDamaged = errors.New("the file is damaged")

// checkPages runs one of SQLite's checks of a complete file: quick_check, or
// integrity_check, which also compares indexes with their tables.
func checkPages(ctx context.Context, q querier, check string) error {
	found, err := query(ctx, q, scanValue[string], "PRAGMA "+check+"(3)")
	if c := code(err); c == codeCorrupt || c == codeNotADB {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err == nil && !(len(found) == 1 && found[0] == "ok") {
		err = fmt.Errorf("%w: %s", ErrDamaged, strings.ReplaceAll(strings.Join(found, "; "), "\n", ": "))
	}
	return err
}

// CheckAfterCrash checks the pages of a SQLite file if its last server did not shut down
// cleanly. That may take minutes, while w keeps recording. If the file is damaged, w is
// not ready from then on, nor after the next start; it keeps recording what it can, and
// the file is not changed. PostgreSQL checks itself.
func (s *Store) CheckAfterCrash(ctx context.Context, w *Writer, log *slog.Logger) {
	file, ok := s.engine.(*sqliteFile)
	if !ok {
		return
	}
	lock := file.lock.Load()
	if lock == nil || !lock.Unclean() {
		return
	}
	start := time.Now()
	err := checkPages(ctx, s.read, "quick_check")
	switch {
	case ctx.Err() != nil: // the next start checks again
	case err == nil:
		lock.SetUnclean(false)
		log.Info("integrity check passed after unclean shutdown", "db", s.name, "took", time.Since(start))
	case errors.Is(err, ErrDamaged):
		w.corruptErr.Store(&err)
		log.Error("the file is damaged and was not changed; stop the server, move the file away, and restore a backup", "db", s.name, "err", err)
	default:
		log.Error("integrity check after unclean shutdown failed; the next start repeats it", "db", s.name, "err", err)
	}
}
