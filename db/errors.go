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
	errMissing    = fmt.Errorf("no such file: %w", fs.ErrNotExist)
	errNewer      = errors.New("written by a newer relcheck")
	errUnfinished = errors.New("incomplete store: a copy was interrupted or is still running")
	errLogAlone   = errors.New("found a WAL file without its database")
	errEmpty      = errors.New("no relcheck store found")
)

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

// code returns SQLite's primary result code, or 0 for any other error.
func code(err error) int {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
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
	switch {
	case errors.Is(err, errMissing):
		return fmt.Errorf("open %s: no such file; name another with --db, or create it with relcheck serve", path)
	case errors.Is(err, errLogAlone):
		hint = fmt.Sprintf("; put back the database that %s-wal belongs to, or remove the WAL file as well", path)
	case errors.Is(err, errUnfinished):
		hint = "; repeat the copy, or remove the file"
	case errors.Is(err, errNotEmpty):
		hint = "; copy to a file that does not exist"
	case errors.Is(err, dbfile.ErrForeign):
		hint = "; it was not changed, name another file with --db"
	case errors.Is(err, errNewer):
		hint = "; install that version, or name another file with --db"
	}
	return fmt.Errorf("open %s: %w%s", path, err, hint)
}

// full marks an error that was caused by a full disk.
type full struct{ error }

func (full) DiskFull() bool  { return true }
func (f full) Unwrap() error { return f.error }
