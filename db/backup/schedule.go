package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"relcheck/db"
	"relcheck/db/dbfile"
)

// Schedule makes backups of a store into a folder at regular intervals. Servers that
// share a store share the folder. Servers of other stores may use the same folder,
// because each removes only backups of its own store.
type Schedule struct {
	Folder string
	Every  time.Duration
	Keep   int    // number of backups to keep, at least 1
	Schema string // the text of schema.sql

	last     atomic.Pointer[File] // nil or zero if there is none
	failures atomic.Int64
}

// retryInterval is the wait after a failed backup, unless Every is shorter.
const retryInterval = 5 * time.Minute

// Last returns the time and size of the newest backup, or zeros. It is safe for
// concurrent use.
func (b *Schedule) Last() (at time.Time, size int64) {
	f := cmp.Or(b.last.Load(), new(File))
	return f.At, f.Size
}

// Failures returns the number of failed backups. It is safe for concurrent use.
func (b *Schedule) Failures() int64 { return b.failures.Load() }

// CheckFolder returns an error if the folder does not exist.
func (b *Schedule) CheckFolder() error {
	if info, err := os.Stat(b.Folder); err != nil || !info.IsDir() {
		return fmt.Errorf("back up to %s: %w", b.Folder, dbfile.FolderError(filepath.Join(b.Folder, "relcheck.db")))
	}
	return nil
}

// Prepare calls [Schedule.CheckFolder] and finds the newest backup of the store.
func (b *Schedule) Prepare(ctx context.Context, s *db.Store) error {
	if err := b.CheckFolder(); err != nil {
		return err
	}
	l, err := b.list(ctx, s, time.Now())
	b.last.Store(new(Newest(l.Own)))
	return err
}

// list returns the backups in the folder. It reads the ID of the store each time, because
// the database may have been created again.
func (b *Schedule) list(ctx context.Context, s *db.Store, now time.Time) (Listing, error) {
	id, err := s.ID(ctx)
	if err != nil {
		return Listing{}, err
	}
	return List(ctx, b.Folder, id, now)
}

// Run makes a backup whenever the newest one is older than Every, and then removes the
// oldest ones beyond Keep, until ctx ends.
func (b *Schedule) Run(ctx context.Context, s *db.Store, log *slog.Logger) {
	CleanUp(filepath.Join(b.Folder, "relcheck.db"), log)
	if l, err := b.list(ctx, s, time.Now()); err == nil && len(l.Others) > 0 { // the next backup reports an error
		log.Warn("the backup folder has backups of other stores or of an older relcheck, which are kept; if this store is new because the previous one was lost, stop the server and restore one of them",
			"folder", b.Folder, "backups", len(l.Others), "newest", Newest(l.Others).Name)
	}
	failing := false
	for wait := b.untilDue(ctx, s, time.Now()); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait): // measured by a clock that does not jump
		}
		if wait = b.untilDue(ctx, s, time.Now()); wait > 0 { // another server has made one
			continue
		}
		f, err := b.BackUp(ctx, s, time.Now(), log)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			log.Info("backup made", "file", filepath.Join(b.Folder, f.Name), "bytes", f.Size)
			wait, failing = b.Every, false
			continue
		}
		if !failing {
			log.Error("backup failed; will be repeated until it succeeds", "folder", b.Folder, "err", err)
		}
		wait, failing = min(retryInterval, b.Every), true
		b.failures.Add(1)
	}
}

// untilDue returns the time until the next backup. It is at most Every, whatever the
// clock does.
func (b *Schedule) untilDue(ctx context.Context, s *db.Store, now time.Time) time.Duration {
	l, err := b.list(ctx, s, now)
	if err != nil || len(l.Own) == 0 {
		return 0
	}
	return max(0, min(b.Every, Newest(l.Own).At.Add(b.Every).Sub(now)))
}

// BackUp makes one backup and removes the oldest ones beyond Keep. If another server of
// the store has made one in the same second, it returns that one.
func (b *Schedule) BackUp(ctx context.Context, s *db.Store, now time.Time, log *slog.Logger) (f File, err error) {
	id, err := s.ID(ctx)
	if err != nil {
		return f, err
	}
	f = File{Name: FileName(id, now), At: now.UTC().Truncate(time.Second), store: id}
	path := filepath.Join(b.Folder, f.Name)
	_, err = Create(ctx, s, path, b.Schema, func(int64, int64) {})
	if errors.Is(err, ErrExists) && checkFile(ctx, path, id) == nil {
		err = nil
	}
	if err != nil {
		return f, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return f, err
	}
	f.Size = info.Size()
	b.last.Store(new(f))
	return f, b.removeOld(ctx, f, now, log)
}

// removeOld removes the oldest backups of the store beyond Keep, but never the one that
// was just made. Backups with a time in the future count as the oldest.
func (b *Schedule) removeOld(ctx context.Context, made File, now time.Time, log *slog.Logger) error {
	// Not ctx itself: no backup could be verified while the server stops.
	l, err := List(context.WithoutCancel(ctx), b.Folder, made.store, now)
	if err != nil {
		return err
	}
	for _, f := range l.Invalid {
		log.Warn("a file in the backup folder has the name of a backup of this store, but is not one; it is kept", "file", filepath.Join(b.Folder, f.Name), "err", f.Err)
	}
	all := slices.DeleteFunc(append(l.Future, l.Own...), func(f File) bool { return f.Name == made.Name })
	for _, f := range all[:max(0, len(all)+1-max(1, b.Keep))] {
		if err := os.Remove(filepath.Join(b.Folder, f.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
