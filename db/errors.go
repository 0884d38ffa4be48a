package db

import (
	"errors"
	"fmt"
	"io/fs"

	"modernc.org/sqlite"

	"relcheck/checker/catalog"
	"relcheck/db/dbfile"
)

var (
	errNoFile     = fmt.Errorf("no such file: %w", fs.ErrNotExist)
	errUnfinished = errors.New("incomplete store: a copy was interrupted or is still running; repeat the copy, or remove the file")
	errLogAlone   = errors.New("found a WAL file without its database; put back the database, or remove the file ending in -wal as well")
	errEmpty      = fmt.Errorf("no relcheck store found; %w", ErrNoStore)
)

// ErrNoStore is wrapped by errors of [OpenExisting] about a store that does not exist yet: a
// missing or empty file, or a database without tables.
var ErrNoStore = errors.New("name another with --db, or create it with relcheck serve")

// Errors that callers distinguish.
var (
	ErrNotFound = catalog.ErrNotFound
	ErrInUse    = catalog.ErrInUse
	ErrLimit    = catalog.ErrLimit
)

// Primary result codes of SQLite, https://www.sqlite.org/rescode.html.
const (
	codeBusy     = 5
	codeReadOnly = 8
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// openError adds the name of the file and what to do to an error.
func openError(path string, err error) error {
	hint := ""
	switch code(err) {
	case codeNotADB:
		err = dbfile.ErrForeign
	case codeCorrupt:
		hint = "; the file is damaged or truncated and was not changed: restore a backup"
	case codeReadOnly:
		hint = "; relcheck needs permission to write to the file and its folder"
	case codeCantOpen:
		err = dbfile.FolderError(path)
	}
	if errors.Is(err, errNoFile) {
		return fmt.Errorf("open %s: no such file; %w", path, ErrNoStore)
	}
	return fmt.Errorf("open %s: %w%s", path, err, hint)
}

// full marks an error that was caused by a full disk.
type full struct{ error }

func (full) DiskFull() bool  { return true }
func (f full) Unwrap() error { return f.error }
