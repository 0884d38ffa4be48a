package dbfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"relcheck/checker/catalog"
)

// Lock keeps a second writer away from a store. It is held on a file of its
// own beside the database: a process that opens and closes the database itself
// loses SQLite's locks on it. The system lets go of it when the process ends.
type Lock struct {
	file   *flock.Flock
	handle *Handle // of the database, if that keeps others out too
	// wasUnclean is that somebody who had the lock has not let go of it in good order,
	// and that nobody has looked since then whether the store is sound.
	wasUnclean atomic.Bool
}

// lockPatience is how long to wait for somebody who only looks whether it is held.
const lockPatience = 500 * time.Millisecond

// AcquireLock takes the lock of the store at path and leaves this process's number in it.
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

// createLock makes a lock's file, if there is none. If root makes it, it belongs to the
// owner of the store, who could not open it otherwise.
func createLock(path, name string) error {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return CheckCompanions(path)
	}
	if err != nil {
		return err
	}
	if database, err := os.Stat(path); err == nil && os.Geteuid() == 0 {
		if user, known := Owner(database); known {
			f.Chown(user, -1) // it is useful for root without that
		}
	}
	return f.Close()
}

// pidOffset is where in a lock's file the number of the process begins. What is
// locked on Windows is the first byte: nobody can read or write it through another
// handle, not even who holds the lock.
const pidOffset = 1

// open opens the lock's file for writing, and makes sure that it is the one that is locked.
func (l *Lock) open() (*os.File, error) {
	f, err := os.OpenFile(l.file.Path(), os.O_WRONLY|NoFollow, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	locked, err2 := l.file.Stat()
	if err = errors.Join(err, err2); err == nil && !os.SameFile(info, locked) {
		err = errors.New("another file has taken its place")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// writePID writes this process's number into a lock's file. It is never empty on the
// way, also if the disk is full: that would say that nobody was killed.
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

// LockHolder tells who holds the lock of the store at path, or "" for nobody. It is
// held for a moment by whoever asks.
func LockHolder(path string) (who string, err error) {
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

// Release lets the next one have the store. The file stays: removing it would
// let two processes hold locks on two files of one name. It is empty then, unless
// what has once gone wrong was not looked at.
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

// SetUnclean changes what isUnclean returns and what release leaves for the next
// process.
func (l *Lock) SetUnclean(unclean bool) { l.wasUnclean.Store(unclean) }
