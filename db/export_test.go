package db

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"relcheck/db/dbfile"
)

// ClosedBy is closedBy.
var ClosedBy = closedBy

// ExpireNetworkCounts is expireNetworkCounts.
func (s *Store) ExpireNetworkCounts(ctx context.Context, now time.Time) error {
	return s.expireNetworkCounts(ctx, now)
}

// SetFoldPage sets the number of reports that a fold reads at first, and returns the previous
// one. A fold increases it up to four times.
func SetFoldPage(page int) (before int) {
	before, foldPage = foldPage, page
	return before
}

// SetMaxLives sets the number of instances of a product that are followed, until undo is
// called.
func SetMaxLives(lives int) (undo func()) {
	before := maxLives
	maxLives = lives
	return func() { maxLives = before }
}

// SetVFS makes SQLite use a VFS for all files whose names begin with name, and backups use
// the given functions to sync and link files. It must be called before any store is opened.
func SetVFS(name, vfs string, sync func(*os.File) error, link func(from, to string) error) {
	dbfile.Sync, dbfile.Link = sync, link
	vfsQuery = func(path string) string {
		if strings.HasPrefix(filepath.Base(path), name) {
			return "&vfs=" + vfs
		}
		return ""
	}
}

// DisableSync makes commits return before the disk has stored them, until the writer
// reconnects.
func (w *Writer) DisableSync() error {
	_, err := w.batch.(*sqliteWriter).conn.ExecContext(context.Background(), "PRAGMA synchronous = NORMAL")
	return err
}

// IgnoreErrors makes a writer acknowledge reports that it failed to record. It must be called
// before the first report.
func (w *Writer) IgnoreErrors() {
	w.writeMu.Lock()
	defer w.writeMu.Unlock()
	w.batch = errorIgnorer{w.batch}
}

type errorIgnorer struct{ batchWriter }

func (d errorIgnorer) write(b *batch, checks map[buildKey]int64, now time.Time) error {
	d.batchWriter.write(b, checks, now)
	return nil
}

// TimeOutOpenBatch ends the wait of the reports that have no transaction yet, as a timeout
// does.
func (w *Writer) TimeOutOpenBatch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open.finish(ErrTimeout)
}

// ErrNotErased is returned if a reader keeps removed reports from being erased.
var ErrNotErased = errNotErased

// SetReadTimeout sets the timeout of Figures and returns the previous one.
func SetReadTimeout(d time.Duration) (before time.Duration) {
	before, readTimeout = readTimeout, d
	return before
}

// SweepAt removes expired rows, as Maintain does once an hour while it trusts its clock.
func (s *Store) SweepAt(ctx context.Context, keep Retention, now time.Time) error {
	last, due, err := s.due(ctx, now)
	if err == nil && due {
		err = s.removeExpired(ctx, keep, now, last)
	}
	return errors.Join(err, s.explain(s.eraseDeleted(ctx)))
}

// NewSweeper returns the function that Maintain calls every few seconds to remove expired rows.
func (s *Store) NewSweeper(keep Retention, log *slog.Logger) (sweep func(context.Context) error) {
	return (&sweeper{store: s, keep: keep, log: log}).sweep
}

// Position is the position of a reader in the log of a product: the last seq of each node.
type Position map[int64]int64

// Follow calls f with each report of a product after the position, and advances the
// position. Repeated calls return every report once, however late its transaction commits.
// After an error, the position is after the last report that f accepted.
func (s *Store) Follow(ctx context.Context, product string, p Position, f func(*Recorded) error) error {
	return s.readLog(ctx, product, p, time.Unix(0, 0), f)
}

// ExplainPostgres adds advice to an error of PostgreSQL.
var ExplainPostgres = explainPostgres

// TruncateWAL truncates the WAL, as Maintain does every few seconds.
func (s *Store) TruncateWAL(ctx context.Context) error { return s.truncateWAL(ctx, s.readMu) }

// Steps are the upgrades from one schema version to the next.
var Steps = steps[:]

// Create creates a store as relcheck did when schema was the content of schema.sql. It
// supports schemas 1 and 2.
func Create(ctx context.Context, name, schema string) error {
	if isPostgres(name) {
		return createDatabase(ctx, name, schema, addOldPresets)
	}
	return createFile(ctx, name, schema, addOldPresets)
}

// addOldPresets is addPresets as of schema 2.
func addOldPresets(ctx context.Context, tx *sql.Tx) error {
	for _, name := range []string{"ids", "session"} {
		if _, err := tx.ExecContext(ctx, "INSERT INTO secret (name, value) VALUES ($1, $2)", name, make([]byte, 32)); err != nil {
			return err
		}
	}
	for _, p := range initialProducts {
		id, err := next(ctx, tx, "product")
		if err == nil {
			_, err = tx.ExecContext(ctx, "INSERT INTO product (id, name, title, repo, module, download, notes) VALUES ($1, $2, $3, $4, $5, $6, $7)",
				id, p.Name, p.Title, p.Repo, p.Module, p.Download, p.Notes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Tables lists the tables of a schema.
var Tables = tables

// ExtendLastStep appends statements to the last step, so that it takes longer.
func ExtendLastStep(more string) { steps[len(steps)-1] += more }

// DisableNameDetection makes this process use a store without checking for other names.
func DisableNameDetection() { dbfile.DetectNames = false }

// LockHolder describes the process that holds the lock of a store.
var LockHolder = dbfile.LockHolder

// SetBackupStep sets the number of pages in each step of a backup.
func SetBackupStep(step int32) { backupStep = step }

// SetSync sets the function that syncs a file, and returns the previous one.
func SetSync(sync func(*os.File) error) (before func(*os.File) error) {
	before, dbfile.Sync = dbfile.Sync, sync
	return before
}

// IdlePause returns how long a backup pauses after a step of the given duration.
func IdlePause(took time.Duration) time.Duration { return idlePause(took) }

// SetMaxGrowth sets how long the WAL may become during a backup, unless the store is larger.
// It returns the previous limit.
func SetMaxGrowth(bytes int64) (before int64) {
	before, maxGrowth = maxGrowth, bytes
	return before
}

// VerifySQLite checks a file and the connection to it before anything is written.
var VerifySQLite = verifySQLite

// Committing reports whether a commit of reports is running. That the lock is held is not
// enough: the writer also holds it while it checks an idle store.
func (w *Writer) Committing() bool {
	if w.writeMu.TryLock() {
		w.writeMu.Unlock()
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lastSize > 0
}
