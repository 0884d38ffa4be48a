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

// SetFoldPage makes the folds of this process take pages of so many reports, up to four
// times as many in the end, and returns how many they had before.
func SetFoldPage(page int) (before int) {
	before, foldPage = foldPage, page
	return before
}

// SetMaxLives makes this process follow so many ids of a product at most, until undone.
func SetMaxLives(lives int) (undo func()) {
	before := maxLives
	maxLives = lives
	return func() { maxLives = before }
}

// SetVFS puts a VFS between SQLite and all files whose names begin with one, and
// has backups get to the disk by other ways than the system's. It is called before
// any store is opened.
func SetVFS(name, vfs string, sync func(*os.File) error, linking func(from, to string) error) {
	dbfile.Sync, dbfile.Link = sync, linking
	vfsQuery = func(path string) string {
		if strings.HasPrefix(filepath.Base(path), name) {
			return "&vfs=" + vfs
		}
		return ""
	}
}

// DisableSync makes a writer's commits not wait for the disk, until it connects anew.
func (w *Writer) DisableSync() error {
	_, err := w.batch.(*sqliteWriter).conn.ExecContext(context.Background(), "PRAGMA synchronous = NORMAL")
	return err
}

// IgnoreErrors makes a writer acknowledge what could not be recorded. It is called
// before anything is recorded.
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

// TimeOutOpenBatch ends the wait of those whose reports have no transaction yet, as a clock does.
func (w *Writer) TimeOutOpenBatch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open.finish(ErrTimeout)
}

// ErrNotErased is returned when somebody reads what was removed.
var ErrNotErased = errNotErased

// SetReadTimeout makes reading figures end after so long, and returns how long it took at
// most before.
func SetReadTimeout(d time.Duration) (before time.Duration) {
	before, readTimeout = readTimeout, d
	return before
}

// SweepAt is what Maintain does once an hour, at a time that its clock is trusted.
func (s *Store) SweepAt(ctx context.Context, keep Retention, now time.Time) error {
	last, due, err := s.due(ctx, now)
	if err == nil && due {
		err = s.removeExpired(ctx, keep, now, last)
	}
	return errors.Join(err, s.explain(s.eraseDeleted(ctx)))
}

// NewSweeper returns what Maintain calls every few seconds to remove what is old.
func (s *Store) NewSweeper(keep Retention, log *slog.Logger) (sweep func(context.Context) error) {
	return (&sweeper{store: s, keep: keep, log: log}).sweep
}

// ExplainPostgres adds to an error of PostgreSQL what can be done about it.
var ExplainPostgres = explainPostgres

// TruncateWAL is what Maintain does every few seconds.
func (s *Store) TruncateWAL(ctx context.Context) error { return s.truncateWAL(ctx, s.readMu) }

// Steps are those that lead from one schema to the next.
var Steps = steps[:]

// Create makes a store that is like a new one was when schema was schema.sql, up to
// schema 2.
func Create(ctx context.Context, name, schema string) error {
	if isPostgres(name) {
		return createDatabase(ctx, name, schema, addOldPresets)
	}
	return createFile(ctx, name, schema, addOldPresets)
}

// addOldPresets is what addPresets was up to schema 2.
func addOldPresets(ctx context.Context, tx *sql.Tx) error {
	for _, name := range []string{"ids", "session"} {
		if _, err := tx.ExecContext(ctx, "INSERT INTO secret (name, value) VALUES ($1, $2)", name, make([]byte, 32)); err != nil {
			return err
		}
	}
	for _, p := range presets {
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

// Tables lists those of a schema.
var Tables = tables

// DDL writes a part of a schema as the engine of the store wants it.
func (s *Store) DDL(text string) string { return s.ddl(text) }

// ExtendLastStep makes the last step of this process take longer.
func ExtendLastStep(more string) { steps[len(steps)-1] += more }

// DisableNameDetection makes this process use a file whatever other names it has.
func DisableNameDetection() { dbfile.DetectNames = false }

// LockHolder tells who holds the lock of a store.
var LockHolder = dbfile.LockHolder

// SetBackupStep makes the backups of this process take steps of so many pages.
func SetBackupStep(step int32) { backupStep = step }

// SetSync has what is written get to the disk in another way, and returns the one before.
func SetSync(sync func(*os.File) error) (before func(*os.File) error) {
	before, dbfile.Sync = dbfile.Sync, sync
	return before
}

// IdlePause is for how long a backup waits after a step that took so long.
func IdlePause(took time.Duration) time.Duration { return idlePause(took) }

// SetMaxGrowth lets a log become so long during a backup, or as long as the store is,
// and returns how long it might be before.
func SetMaxGrowth(bytes int64) (before int64) {
	before, maxGrowth = maxGrowth, bytes
	return before
}

// VerifySQLite is what is asked of a file, and of how it was opened, before
// anything is written.
var VerifySQLite = verifySQLite

// Committing tells whether somebody writes a report just now, and not only looks whether
// he could.
func (w *Writer) Committing() bool {
	if w.writeMu.TryLock() {
		w.writeMu.Unlock()
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lastSize > 0
}
