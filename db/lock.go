package db

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
)

// lock keeps a second writer away from a store. It is held on a file of its
// own beside the database: a process that opens and closes the database itself
// loses SQLite's locks on it. The system lets go of it when the process ends.
type lock struct {
	file *flock.Flock
	held *hold // of the database, if that keeps others out too
	// unclean is that somebody who had the lock has not let go of it in good order,
	// and that nobody has looked since then whether the store is sound.
	unclean atomic.Bool
}

// lockPatience is how long to wait for somebody who only looks whether it is held.
const lockPatience = 500 * time.Millisecond

// acquire takes the lock of the store at path and leaves this process's number in it.
func acquire(path string) (*lock, error) {
	name := path + "-lock"
	if err := makeLock(path, name); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	l := &lock{file: flock.New(name, flock.SetFlag(os.O_RDONLY|noFollow))}
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	ok, err := l.file.TryLockContext(ctx, lockPatience/50)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if !ok {
		return nil, fmt.Errorf("%w by %s", ErrInUse, holder(name))
	}
	info, err := l.file.Stat()
	if err == nil {
		l.unclean.Store(info.Size() > 0)
		err = l.sign()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write to %s: %w", name, err), l.file.Unlock())
	}
	return l, nil
}

// makeLock makes a lock's file, if there is none. If root makes it, it belongs to the
// owner of the store, who could not open it otherwise.
func makeLock(path, name string) error {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return checkCompanions(path)
	}
	if err != nil {
		return err
	}
	if database, err := os.Stat(path); err == nil && os.Geteuid() == 0 {
		if user, known := owner(database); known {
			f.Chown(user, -1) // it is useful for root without that
		}
	}
	return f.Close()
}

// numberAt is where in a lock's file the number of the process begins. What is
// locked on Windows is the first byte: nobody can read or write it through another
// handle, not even who holds the lock.
const numberAt = 1

// open opens the lock's file for writing, and makes sure that it is the one that is locked.
func (l *lock) open() (*os.File, error) {
	f, err := os.OpenFile(l.file.Path(), os.O_WRONLY|noFollow, 0)
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

// sign writes this process's number into a lock's file. It is never empty on the
// way, also if the disk is full: that would say that nobody was killed.
func (l *lock) sign() error {
	f, err := l.open()
	if err != nil {
		return err
	}
	n, err := f.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), numberAt)
	if err == nil {
		err = f.Truncate(numberAt + int64(n))
	}
	return errors.Join(err, f.Close())
}

// holding tells who holds the lock of the store at path, or "" for nobody. It is
// held for a moment by whoever asks.
func holding(path string) (who string, err error) {
	name := path + "-lock"
	if info, err := os.Stat(name); err != nil || info.Size() == 0 {
		return "", nil
	}
	f := flock.New(name, flock.SetFlag(os.O_RDONLY|noFollow))
	ok, err := f.TryRLock()
	if err == nil && !ok {
		return holder(name), nil
	}
	return "", errors.Join(err, f.Unlock())
}

func holder(name string) string {
	const most = 20
	f, err := os.OpenFile(name, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return "another process"
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, numberAt, most))
	pid, err2 := strconv.Atoi(string(text))
	if err != nil || err2 != nil {
		return "another process"
	}
	return fmt.Sprintf("process %d", pid)
}

// release lets the next one have the store. The file stays: removing it would
// let two processes hold locks on two files of one name. It is empty then, unless
// what has once gone wrong was not looked at.
func (l *lock) release() (err error) {
	if !l.unclean.Load() {
		var f *os.File
		if f, err = l.open(); err == nil {
			err = errors.Join(f.Truncate(0), f.Close())
		}
	}
	if l.held != nil {
		l.held.stopRecording()
	}
	return errors.Join(err, l.file.Unlock())
}
