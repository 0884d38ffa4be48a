package db

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	// unclean is that somebody who had the lock has not let go of it in good order,
	// and that nobody has looked since then whether the store is sound.
	unclean atomic.Bool
}

// lockPatience is how long to wait for somebody who only looks whether it is held.
const lockPatience = 500 * time.Millisecond

// acquire takes the lock of the store at path and leaves this process's number in it.
func acquire(path string) (*lock, error) {
	l := &lock{file: flock.New(path + "-lock")}
	name := l.file.Path()
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	ok, err := l.file.TryLockContext(ctx, lockPatience/50)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if !ok {
		return nil, fmt.Errorf("%w by %s", ErrInUse, holder(name))
	}
	if info, err := os.Stat(name); err == nil && info.Size() > 0 {
		l.unclean.Store(true)
	}
	if err := sign(name); err != nil {
		return nil, errors.Join(fmt.Errorf("write to %s: %w", name, err), l.file.Unlock())
	}
	return l, nil
}

// numberAt is where in a lock's file the number of the process begins. What is
// locked on Windows is the first byte: nobody can read or write it through another
// handle, not even who holds the lock.
const numberAt = 1

// sign writes this process's number into a lock's file. It is never empty on the
// way, also if the disk is full: that would say that nobody was killed.
func sign(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
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
	f := flock.New(name)
	ok, err := f.TryRLock()
	if err == nil && !ok {
		return holder(name), nil
	}
	return "", errors.Join(err, f.Unlock())
}

func holder(name string) string {
	const most = 20
	f, err := os.Open(name)
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
		err = os.Truncate(l.file.Path(), 0)
	}
	return errors.Join(err, l.file.Unlock())
}
