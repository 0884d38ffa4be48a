package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// RowCounts is the number of rows by table.
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
