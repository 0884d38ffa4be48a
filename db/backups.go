package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Backups are made again and again, into a folder that no other store uses. A
// server that shares the store may use it too.
type Backups struct {
	Folder string
	Every  time.Duration
	Keep   int    // how many of them, at least 1
	Schema string // the text of schema.sql

	mu       sync.Mutex
	last     Saved // zero if there is none
	failures int64
}

// Saved is a backup that was made.
type Saved struct {
	Name string // of its file
	At   time.Time
	Size int64 // in bytes
}

const (
	savedForm = "relcheck-20060102T150405Z.db"
	// savedAhead is by how much the clocks of servers may differ. What is said to be
	// made later than that was made before the clock was put right.
	savedAhead = time.Minute
	// backupRetry is after how long a backup that failed is tried again, or after as
	// long as there is between two of them.
	backupRetry = 5 * time.Minute
	// abandoned is for how long nobody has written what another server has left.
	abandoned = time.Hour
)

var savedName = regexp.MustCompile(`^relcheck-\d{8}T\d{6}Z\.db$`)

// Newest returns the last backup in a folder that was not made in the future, or
// nothing. It looks at names alone.
func Newest(folder string, now time.Time) (Saved, error) {
	all, err := saved(folder, now)
	if err != nil || len(all) == 0 || all[len(all)-1].At.After(now.Add(savedAhead)) {
		return Saved{}, err
	}
	return all[len(all)-1], nil
}

// saved lists the backups in a folder in the order in which they were made: first
// those that a clock that was ahead has made.
func saved(folder string, now time.Time) (all []Saved, err error) {
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		at, err := time.Parse(savedForm, e.Name())
		info, err2 := e.Info()
		if err == nil && err2 == nil && savedName.MatchString(e.Name()) && info.Mode().IsRegular() {
			all = append(all, Saved{e.Name(), at, info.Size()})
		}
	}
	ahead := func(s Saved) bool { return s.At.After(now.Add(savedAhead)) }
	slices.SortFunc(all, func(a, b Saved) int {
		if ahead(a) != ahead(b) {
			if ahead(a) {
				return -1
			}
			return 1
		}
		return a.At.Compare(b.At)
	})
	return all, err
}

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

// Prepare makes sure that the folder is there, and looks what it holds.
func (b *Backups) Prepare() (err error) {
	if info, err := os.Stat(b.Folder); err != nil || !info.IsDir() {
		return fmt.Errorf("back up to %s: %w", b.Folder, folderError(filepath.Join(b.Folder, savedForm)))
	}
	b.last, err = Newest(b.Folder, time.Now())
	return err
}

// KeepBackups makes a backup when the newest one is as old as is wanted, and
// removes the oldest ones beyond as many as are to be kept, until ctx ends.
func (s *Store) KeepBackups(ctx context.Context, b *Backups, log *slog.Logger) {
	s.clean(b, time.Now())
	failing := false
	for wait := b.age(time.Now()); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait): // by a clock that does not jump
		}
		if wait = b.age(time.Now()); wait > 0 { // another server was quicker
			continue
		}
		made, err := s.save(ctx, b, time.Now())
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
func (b *Backups) age(now time.Time) time.Duration {
	newest, err := Newest(b.Folder, now)
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

// save makes one backup, and then removes those that are too many. It is done, too,
// when another server has made one in the same second.
func (s *Store) save(ctx context.Context, b *Backups, now time.Time) (made Saved, err error) {
	made = Saved{Name: now.UTC().Format(savedForm), At: now.UTC().Truncate(time.Second)}
	place := filepath.Join(b.Folder, made.Name)
	if _, err := s.Backup(ctx, place, b.Schema, func(int64, int64) {}); err != nil && !errors.Is(err, errTaken) {
		return made, err
	}
	info, err := os.Stat(place)
	if err != nil {
		return made, err
	}
	made.Size = info.Size()
	b.mu.Lock()
	b.last = made
	b.mu.Unlock()
	return made, b.remove(made, now)
}

// remove removes the oldest backups beyond as many as are to be kept, and never the
// one that was just made.
func (b *Backups) remove(made Saved, now time.Time) error {
	all, err := saved(b.Folder, now)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(s Saved) bool { return s.Name == made.Name })
	for _, old := range all[:max(0, len(all)+1-max(1, b.Keep))] {
		if err := os.Remove(filepath.Join(b.Folder, old.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// clean removes what backups have left that were killed. Of servers that share a
// store one may just be making a backup.
func (s *Store) clean(b *Backups, now time.Time) {
	_, alone := s.engine.(*sqliteFile)
	for _, name := range Leftovers(filepath.Join(b.Folder, "relcheck-")) {
		base := filepath.Base(name)
		info, err := os.Stat(name)
		if err == nil && savedName.MatchString(base[:strings.LastIndex(base, partialMark)]) && (alone || now.Sub(info.ModTime()) > abandoned) {
			os.Remove(name)
		}
	}
}
