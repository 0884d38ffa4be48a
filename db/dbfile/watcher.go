package dbfile

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// Watcher watches over the files of a SQLite store: writing to one that was
// removed or replaced goes on to succeed, and all is lost.
type Watcher struct {
	path string
	file os.FileInfo                 // the database, as it was opened
	wal  atomic.Pointer[os.FileInfo] // its write-ahead log; nil while it is not open
}

// NewWatcher watches the database at path, as it is now.
func NewWatcher(path string) (*Watcher, error) {
	info, err := os.Stat(path)
	return &Watcher{path: path, file: info}, err
}

// WALOpened remembers which write-ahead log is open. It comes with a connection,
// at the latest with its first write.
func (f *Watcher) WALOpened() {
	if f.wal.Load() == nil {
		if info, err := os.Stat(f.path + "-wal"); err == nil {
			f.wal.Store(&info)
		}
	}
}

// WALClosed is for when the connection is closed: the next one has another log.
func (f *Watcher) WALClosed() { f.wal.Store(nil) }

// Check makes sure that the files are still those that were opened. It is safe
// for concurrent use.
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
		err = errors.New("another file has taken its place")
	}
	if err != nil {
		return fmt.Errorf("%s is no longer the file that was opened: %w; stop the server with SIGTERM, which saves what it can, and start it again", name, err)
	}
	return nil
}

// CheckRoom makes sure that there is space for more than the page or two that
// a trial writes: on a full disk they may fit where no report does.
func CheckRoom(path string) error {
	name := path + "-trial"
	os.Remove(name) // what a process that was killed has left, or somebody has put there
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 64<<10))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
}
