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
	errUnfinished = errors.New("a store was being made there, and that was interrupted or goes on")
	errLogAlone   = errors.New("there is no database, but the log of one")
	errEmpty      = errors.New("no relcheck store there")
)

// Errors that callers tell from others.
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

// openError names the file, and tells what to do about it.
func openError(path string, err error) error {
	hint := ""
	switch code(err) {
	case codeNotADB:
		err = dbfile.ErrForeign
	case codeCorrupt:
		hint = "; the file is damaged or cut short: it was left as it is, restore a backup"
	case codeReadOnly:
		hint = "; relcheck needs to write the file and its folder"
	case codeCantOpen:
		err = dbfile.FolderError(path)
	}
	switch {
	case errors.Is(err, errMissing):
		return fmt.Errorf("open %s: no such file; name another with --db, or create it with relcheck serve", path)
	case errors.Is(err, errLogAlone):
		hint = fmt.Sprintf("; put back the file that %s-wal belongs to, or remove that one, too", path)
	case errors.Is(err, errUnfinished):
		hint = "; repeat the copy that did so, or remove the file"
	case errors.Is(err, errNotEmpty):
		hint = "; a copy needs a file that is not there yet"
	case errors.Is(err, dbfile.ErrForeign):
		hint = "; it was left as it is, name another file with --db"
	case errors.Is(err, errNewer):
		hint = "; install that version, or name another file with --db"
	}
	return fmt.Errorf("open %s: %w%s", path, err, hint)
}

// full marks an error as coming from a full disk.
type full struct{ error }

func (full) DiskFull() bool  { return true }
func (f full) Unwrap() error { return f.error }
