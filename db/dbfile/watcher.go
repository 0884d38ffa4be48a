package dbfile

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// Watcher detects that a file of a SQLite store was removed or replaced: writes to the old
// file would succeed and be lost.
type Watcher struct {
	path string
	file os.FileInfo                 // the database
	wal  atomic.Pointer[os.FileInfo] // the WAL, or nil if it is not open
}

// NewWatcher returns a Watcher of the current files of the database at path.
func NewWatcher(path string) (*Watcher, error) {
	info, err := os.Stat(path)
	return &Watcher{path: path, file: info}, err
}

// WALOpened records the open WAL. SQLite creates it at the latest with the first write of
// a connection.
func (f *Watcher) WALOpened() {
	if f.wal.Load() == nil {
		if info, err := os.Stat(f.path + "-wal"); err == nil {
			f.wal.Store(&info)
		}
	}
}

// WALClosed must be called when the connection is closed: the next one may have another
// WAL.
func (f *Watcher) WALClosed() { f.wal.Store(nil) }

// Check returns an error if a file was removed or replaced. It is safe for concurrent use.
func (f *Watcher) Check() error {
	err := unchanged(f.path, f.file)
	if wal := f.wal.Load(); err == nil && wal != nil {
		err = unchanged(f.path+"-wal", *wal)
	}
	return err
}

func unchanged(name string, opened os.FileInfo) error {
	now, err := os.Stat(name)
	if err == nil && !os.SameFile(opened, now) {
		err = errReplaced
	}
	if err != nil {
		return fmt.Errorf("%s is no longer the file that was opened: %w; stop the server with SIGTERM, so that it saves what it can, and restart it", name, err)
	}
	return nil
}

// CheckRoom returns an error if the disk is full. It writes 64 KB, because the few pages of
// a probe may fit on a disk that has no room for reports.
func CheckRoom(path string) error {
	name := path + "-trial"
	os.Remove(name) // left by a killed process, or put there by another user
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 64<<10))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
}
