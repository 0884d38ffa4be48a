package dbfile

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// Mode is how a database file is used.
type Mode int

const (
	Read Mode = iota
	ReadWrite
	Create // read and write, and create a missing file
)

// A SQLite store has more than one file: PATH-wal and PATH-shm belong to it, and SQLite
// looks for them beside the name that it opens. A process that opens the same file under
// another name (a hard link, or a bind mount of the file alone) has a WAL of its own, and
// two WALs destroy the store.
var (
	errOtherName   = errors.New("another process has this file open under another name, with a write-ahead log of its own: use the same path as that process; in a container, mount the folder, not the file")
	ErrMountPoint  = errors.New("the file is itself a mount point, so its write-ahead log would be in another folder: mount the folder, not the file")
	errWALReplaced = errors.New("its -wal or -shm file was removed or replaced while another process has the store open: stop that process, a server with SIGTERM, and try again")
	errWALOfOther  = errors.New("the file has replaced another one, and its -wal file belongs to that and may contain reports of it: stop all processes that have the store open; then put the earlier file back, or move the -wal and -shm files away to go on with this one")
	errWALLeft     = errors.New("the last process that wrote to it did not close it")
	ErrWALLost     = errors.New("the last process that wrote to the store did not close it, and its -wal file is missing: unless a program other than relcheck has removed it, the latest reports are lost; put the file back, or restore a backup")
	ErrReplaced    = errors.New("the file was replaced while it was opened: try again")
)

// transientErrors may occur for a moment while another process opens or closes the store.
var transientErrors = []error{errOtherName, errWALReplaced, errWALOfOther, errWALLeft, ErrWALLost}

// Open opens the database file at path, which has no symbolic links. Call it before SQLite
// opens the file, and Release after SQLite has closed it. Open returns an error if another
// process has the file open under another name. The error wraps [fs.ErrNotExist] if the
// file is missing and use is not Create.
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
		time.Sleep(time.Millisecond + rand.N(20*time.Millisecond)) // random, so that two processes do not collide again
	}
}

// DetectNames is false in tests of what happens if other names are not detected.
var DetectNames = true
