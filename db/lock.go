package db

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// lock keeps a second writer away from a store. It is held on a file of its
// own beside the database: a process that opens and closes the database itself
// loses SQLite's locks on it. The system lets go of it when the process ends.
type lock struct{ file *flock.Flock }

// acquire takes the lock of the store at path and leaves this process's number in it.
func acquire(path string) (*lock, error) {
	name := path + "-lock"
	l := &lock{flock.New(name)}
	ok, err := l.file.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if !ok {
		return nil, fmt.Errorf("%w by %s", ErrInUse, holder(name))
	}
	return l, os.WriteFile(name, strconv.AppendInt(nil, int64(os.Getpid()), 10), 0o644)
}

func holder(name string) string {
	text, err := os.ReadFile(name) // Windows refuses to read a locked file
	pid := strings.TrimSpace(string(text))
	if err != nil || pid == "" {
		return "another process"
	}
	return "process " + pid
}

// release lets the next one have the store. The file stays: removing it would
// let two processes hold locks on two files of one name.
func (l *lock) release() error { return l.file.Unlock() }
