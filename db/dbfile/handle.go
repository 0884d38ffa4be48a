package dbfile

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// Mode is what a database file is held for.
type Mode int

const (
	Read      Mode = iota
	ReadWrite      // and reading
	Create         // writing, to a file that may be missing
)

// A SQLite store is more than one file: PATH-wal and PATH-shm belong to it, and
// SQLite looks for them beside the name by which the database is opened. A process
// that opens the same file by another name (a hard link, or a bind mount of the file
// alone) has a log of its own, and two logs destroy the store.
var (
	errOtherName   = errors.New("another process has this file open under another name, which has a write-ahead log of its own: use the same path as that process; in a container, mount the folder, not the file")
	ErrMountPoint  = errors.New("the file is itself a mount point, so its write-ahead log would be in another folder than that of the file: mount the folder, not the file")
	errWALReplaced = errors.New("its -wal or -shm file was removed or replaced while another process has the store open: stop that process, a server with SIGTERM, and try again")
	errWALLeft     = errors.New("the last process that wrote to it did not close it")
	ErrWALLost     = errors.New("the last process that wrote to the store did not close it, and its -wal file is missing: unless another program than relcheck has removed that, the reports that were recorded last are lost; put the file back, or restore a backup")
	ErrReplaced    = errors.New("another file has taken its place while it was opened: try again")
)

// transientErrors are the errors that another process causes for a moment while it opens
// or closes the store.
var transientErrors = []error{errOtherName, errWALReplaced, errWALLeft, ErrWALLost}

// Open lets this process use the database file at path, which is free of
// symbolic links, until release. It returns an error if another process has the same
// file open by another name. The hold begins before SQLite opens the file, and ends
// after SQLite has closed it. If the file is missing, the error wraps
// [fs.ErrNotExist], unless it is to be created.
func Open(path string, use Mode) (*Handle, error) {
	if err := CheckCompanions(path); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockPatience); ; {
		last := time.Now().After(deadline)
		h, err := tryOpen(path, use, last)
		if last || !slices.ContainsFunc(transientErrors, func(target error) bool { return errors.Is(err, target) }) {
			return h, err
		}
		time.Sleep(time.Millisecond + rand.N(20*time.Millisecond)) // two that try at once do not go on together
	}
}

// DetectNames is false in tests that show what happens if other names of a file are
// not detected.
var DetectNames = true
