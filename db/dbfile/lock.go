package dbfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"relcheck/checker/catalog"
)

// Lock prevents a second writer of a store. It locks a file beside the database, because a
// process that opens and closes the database file loses SQLite's locks on it. The system
// releases the lock when the process ends.
type Lock struct {
	file       *flock.Flock
	handle     *Handle     // of the database, to lock that as well, or nil
	wasUnclean atomic.Bool // see Unclean
}

// lockPatience is how long to wait for a process that holds the lock in LockHolder.
const lockPatience = 500 * time.Millisecond

// AcquireLock locks the store at path and writes the ID of this process into the lock file.
func AcquireLock(path string, h *Handle) (*Lock, error) {
	name := path + "-lock"
	if err := createLock(path, name); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	l := &Lock{handle: h, file: flock.New(name, flock.SetFlag(os.O_RDONLY|NoFollow))}
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	ok, err := l.file.TryLockContext(ctx, lockPatience/50)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if !ok {
		return nil, fmt.Errorf("%w by %s", catalog.ErrInUse, readPID(name))
	}
	info, err := l.file.Stat()
	if err == nil {
		l.SetUnclean(info.Size() > 0)
		err = l.writePID()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write to %s: %w", name, err), l.file.Unlock())
	}
	if h != nil {
		if err := h.LockRecording(); err != nil {
			l.Release()
			return nil, err
		}
	}
	return l, nil
}

// createLock creates the lock file if it is missing. If root creates it, it belongs to the
// owner of the store, or of the folder if there is no store yet, so that a server of that
// user can open it.
func createLock(path, name string) error {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return CheckCompanions(path)
	}
	if err != nil {
		return err
	}
	like := path
	if _, err := os.Stat(path); err != nil {
		like = filepath.Dir(path)
	}
	Adopt(f, like)
	return f.Close()
}

// pidOffset is the offset of the process ID in the lock file. On Windows the first byte is
// locked, and cannot be read or written through another handle, not even by the process
// that holds the lock.
const pidOffset = 1

// open opens the lock file for writing. It is an error if that is not the locked file.
func (l *Lock) open() (*os.File, error) {
	f, err := os.OpenFile(l.file.Path(), os.O_WRONLY|NoFollow, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	locked, err2 := l.file.Stat()
	if err = errors.Join(err, err2); err == nil && !os.SameFile(info, locked) {
		err = fmt.Errorf("lock %s: %w", l.file.Path(), errReplaced)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// writePID writes the ID of this process into the lock file. The file is never empty
// meanwhile, even if the disk is full: an empty file means a clean shutdown.
func (l *Lock) writePID() error {
	f, err := l.open()
	if err != nil {
		return err
	}
	n, err := f.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), pidOffset)
	if err == nil {
		err = f.Truncate(pidOffset + int64(n))
	}
	return errors.Join(err, f.Close())
}

// LockHolder describes the process that holds the lock of the store at path, or returns
// "". It holds the lock itself for a moment.
func LockHolder(path string) (process string, err error) {
	name := path + "-lock"
	if info, err := os.Stat(name); err != nil || info.Size() == 0 {
		return "", nil
	}
	f := flock.New(name, flock.SetFlag(os.O_RDONLY|NoFollow))
	ok, err := f.TryRLock()
	if err == nil && !ok {
		return readPID(name), nil
	}
	return "", errors.Join(err, f.Unlock())
}

func readPID(name string) string {
	const most = 20
	f, err := os.OpenFile(name, os.O_RDONLY|NoFollow, 0)
	if err != nil {
		return "another process"
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, pidOffset, most))
	pid, err2 := strconv.Atoi(string(text))
	if err != nil || err2 != nil {
		return "another process"
	}
	return fmt.Sprintf("process %d", pid)
}

// Release unlocks the store. The lock file stays, because two processes could hold locks
// on two files of one name if it were removed. It becomes empty, unless Unclean.
func (l *Lock) Release() (err error) {
	if !l.Unclean() {
		var f *os.File
		if f, err = l.open(); err == nil {
			err = errors.Join(f.Truncate(0), f.Close())
		}
	}
	if l.handle != nil {
		l.handle.UnlockRecording()
	}
	return errors.Join(err, l.file.Unlock())
}

// Unclean reports whether a process that held the lock ended without releasing it,
// and the store has not been checked since then.
func (l *Lock) Unclean() bool { return l.wasUnclean.Load() }

// SetUnclean sets what Unclean returns, now and in the next process that locks the store.
func (l *Lock) SetUnclean(unclean bool) { l.wasUnclean.Store(unclean) }
