package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	// fresh is the age until which Prune keeps content that is not needed: the process that
	// wrote it may not have recorded it yet.
	fresh = time.Hour
	// abandoned is the age from which Prune removes partial and damaged files.
	abandoned = 7 * 24 * time.Hour
	// pruneWait is the maximum time that Prune waits for processes that hold contents.
	pruneWait = 10 * time.Second
)

// ErrInUse is wrapped by errors about a folder whose contents another process holds.
var ErrInUse = errors.New("another process is adding files to the folder")

// lockFile returns a lock of the folder. A process must not open its file otherwise.
func (f *Folder) lockFile(name string) *flock.Flock {
	return flock.New(filepath.Join(f.path, locks, name), flock.SetFlag(os.O_CREATE|os.O_RDWR)) // NFS requires a file that can be written
}

// Hold keeps Prune from removing contents until release is called. A process that uses
// content which the folder already contains must hold it until the use is recorded.
// The error wraps [fs.ErrNotExist] if one of the given contents is missing, for example
// because Prune has just removed it.
func (f *Folder) Hold(ctx context.Context, contents ...Content) (release func(), err error) {
	l := f.lockFile("prune")
	if _, err := l.TryRLockContext(ctx, 50*time.Millisecond); err != nil {
		return nil, fmt.Errorf("wait for the removal of old files: %w", err)
	}
	release = func() { l.Close() }
	for _, c := range contents {
		if !f.Has(c) {
			release()
			return nil, fmt.Errorf("content %s is missing in the folder: %w: try again", c.SHA256, fs.ErrNotExist)
		}
	}
	return release, nil
}

// Prune removes contents that are not needed, and old partial and damaged files. It calls
// needed while no process holds contents. It returns the number and the size of the removed
// contents. The error wraps [ErrInUse] if another process holds contents.
func (f *Folder) Prune(ctx context.Context, needed func() (map[string]bool, error)) (n int, size int64, err error) {
	l := f.lockFile("prune")
	waiting, cancel := context.WithTimeoutCause(ctx, pruneWait, ErrInUse)
	defer cancel()
	if _, err := l.TryLockContext(waiting, 50*time.Millisecond); err != nil {
		if waiting.Err() != nil {
			err = context.Cause(waiting)
		}
		return 0, 0, err
	}
	defer l.Close()
	keep, err := needed()
	if err != nil {
		return 0, 0, err
	}
	for c, err := range f.All() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return n, size, err
		}
		if keep[c.SHA256] {
			continue
		}
		removed, err := f.removeOlder(contentPath(c.SHA256), fresh)
		if err != nil {
			return n, size, err
		}
		if removed {
			n++
			size += c.Size
		}
	}
	for _, sub := range []string{partials, damaged} {
		entries, err := fs.ReadDir(f.root.FS(), sub)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return n, size, err
		}
		for _, entry := range entries {
			if _, err := f.removeOlder(path.Join(sub, entry.Name()), abandoned); err != nil {
				return n, size, err
			}
		}
	}
	return n, size, nil
}

// removeOlder removes a file that was last written longer ago than age.
func (f *Folder) removeOlder(name string, age time.Duration) (bool, error) {
	info, err := f.root.Lstat(name)
	if err == nil && time.Since(info.ModTime()) > age {
		err = f.root.Remove(name)
		return err == nil, err
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return false, err
}

// LockChecks reserves the periodic verification of contents for this process. It returns
// false if another process has it.
func (f *Folder) LockChecks() (release func(), ok bool, err error) {
	l := f.lockFile("check")
	if ok, err = l.TryLock(); !ok {
		l.Close()
	}
	return func() { l.Close() }, ok, err
}

// LastCheck returns when contents whose SHA-256 begins with two digits were last verified,
// or the zero time.
func (f *Folder) LastCheck(digits string) time.Time {
	info, err := f.root.Lstat(path.Join(checks, digits))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// LastServed returns when a server has last recorded that it verified contents, or the zero
// time. A server that serves the folder does so for each content once a day, unless it cannot
// write to the folder.
func (f *Folder) LastServed() (at time.Time) {
	records, err := fs.ReadDir(f.root.FS(), checks)
	if err != nil {
		return at
	}
	for _, r := range records {
		if last := f.LastCheck(r.Name()); last.After(at) {
			at = last
		}
	}
	return at
}

// RecordCheck records that they were verified. The record is the time of an empty file.
func (f *Folder) RecordCheck(digits string, at time.Time) error {
	if err := f.root.MkdirAll(checks, 0o755); err != nil {
		return err
	}
	name := path.Join(checks, digits)
	file, err := f.root.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), f.root.Chtimes(name, at, at))
}
