package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"relcheck/db/dbfile"
)

// Backups are made again and again, into a folder. Servers with the same store share
// the folder. Servers with other stores may also use it: each removes only backups of
// its own store.
type Backups struct {
	Folder string
	Every  time.Duration
	Keep   int    // how many of them, at least 1
	Schema string // the text of schema.sql

	mu       sync.Mutex
	store    int64 // the ID of the store
	last     Saved // zero if there is none
	failures int64
}

// backupRetry is after how long a backup that failed is tried again, or after as
// long as there is between two of them.
const backupRetry = 5 * time.Minute

// Last returns the newest backup that there is, or zeros. It is safe for
// concurrent use, and so is Failures.
func (b *Backups) Last() (at time.Time, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last.At, b.last.Size
}

// Failures is how many backups have failed.
func (b *Backups) Failures() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures
}

// PrepareBackups makes sure that the folder is there, and looks for the newest backup
// of the store in it.
func (s *Store) PrepareBackups(ctx context.Context, b *Backups) error {
	if info, err := os.Stat(b.Folder); err != nil || !info.IsDir() {
		return fmt.Errorf("back up to %s: %w", b.Folder, dbfile.FolderError(filepath.Join(b.Folder, "relcheck.db")))
	}
	store, err := storeID(ctx, s.read)
	if err != nil {
		return s.explain(err)
	}
	newest, err := newestBackup(ctx, b.Folder, store, time.Now())
	b.mu.Lock()
	defer b.mu.Unlock()
	b.store, b.last = store, newest
	return err
}

// KeepBackups makes a backup when the newest one is as old as is wanted, and
// removes the oldest ones beyond as many as are to be kept, until ctx ends.
func (s *Store) KeepBackups(ctx context.Context, b *Backups, log *slog.Logger) {
	b.tidy(ctx, log)
	failing := false
	for wait := b.age(ctx, time.Now()); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait): // by a clock that does not jump
		}
		if wait = b.age(ctx, time.Now()); wait > 0 { // another server was quicker
			continue
		}
		made, err := s.save(ctx, b, time.Now(), log)
		if ctx.Err() != nil {
			return
		}
		wait = b.Every
		switch {
		case err != nil:
			wait = min(backupRetry, b.Every)
			b.failed()
			if !failing {
				log.Error("cannot back up; trying again and again", "folder", b.Folder, "err", err)
			}
		default:
			log.Info("backed up", "file", filepath.Join(b.Folder, made.Name), "bytes", made.Size)
		}
		failing = err != nil
	}
}

// age is how long it takes until the newest backup is too old. A clock that jumps
// makes it no longer than the time between two of them.
func (b *Backups) age(ctx context.Context, now time.Time) time.Duration {
	newest, err := newestBackup(ctx, b.Folder, b.store, now)
	if err != nil || newest.Name == "" {
		return 0
	}
	return max(0, min(b.Every, newest.At.Add(b.Every).Sub(now)))
}

func (b *Backups) failed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
}

// tidy removes what killed backups have left in the folder, and logs which other
// stores have backups there.
func (b *Backups) tidy(ctx context.Context, log *slog.Logger) {
	TidyUp(filepath.Join(b.Folder, "relcheck.db"), log)
	all, err := listBackups(ctx, b.Folder, b.store)
	if err != nil {
		return // the next backup reports it
	}
	if others := othersOf(all, b.store); len(others) > 0 {
		log.Warn("the backup folder has backups of other stores or of an older relcheck, which are kept; if this store is new because the last one was lost, stop the server and restore one of them",
			"folder", b.Folder, "backups", len(others), "newest", newestOf(others).Name)
	}
}

// save makes one backup, and then removes those that are too many. If another server of
// the store has made one in the same second, that one counts.
func (s *Store) save(ctx context.Context, b *Backups, now time.Time, log *slog.Logger) (made Saved, err error) {
	store, err := storeID(ctx, s.read) // which is another one if the database was made again
	if err != nil {
		return made, s.explain(err)
	}
	made = Saved{Name: backupNameOf(store, now), At: now.UTC().Truncate(time.Second), Store: store}
	place := filepath.Join(b.Folder, made.Name)
	_, err = s.Backup(ctx, place, b.Schema, func(int64, int64) {})
	if errors.Is(err, errTaken) && made.check(ctx, b.Folder) == nil {
		err = nil
	}
	if err != nil {
		return made, err
	}
	info, err := os.Stat(place)
	if err != nil {
		return made, err
	}
	made.Size = info.Size()
	b.mu.Lock()
	b.store, b.last = store, made
	b.mu.Unlock()
	return made, b.rotate(ctx, made, now, log)
}

// rotate removes the oldest backups of the store beyond as many as are to be kept, and
// never the one that was just made. A file counts only if its content is of the store.
func (b *Backups) rotate(ctx context.Context, made Saved, now time.Time, log *slog.Logger) error {
	ctx = context.WithoutCancel(ctx) // or a server that stops would find no backup good
	all, err := listBackups(ctx, b.Folder, made.Store)
	if err != nil {
		return err
	}
	kept := 1
	for _, s := range slices.Backward(backupsOf(all, made.Store, now)) {
		if s.Name == made.Name {
			continue
		}
		path := filepath.Join(b.Folder, s.Name)
		if err := s.check(ctx, b.Folder); err != nil {
			log.Warn("a file in the backup folder has the name of a backup of this store, but is not one; it is kept", "file", path, "err", err)
			continue
		}
		if kept++; kept <= max(1, b.Keep) {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
