package db

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"modernc.org/sqlite"

	"relcheck/checker/catalog"
)

var (
	errMissing    = fmt.Errorf("no such file: %w", fs.ErrNotExist)
	errForeign    = errors.New("not a relcheck database")
	errNewer      = errors.New("written by a newer relcheck")
	errUnfinished = errors.New("a store was being made there, and that was interrupted or goes on")
	errLogAlone   = errors.New("there is no database, but the log of one")
	errEmpty      = errors.New("nothing of relcheck is there")
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
		err = errForeign
	case codeCorrupt:
		hint = "; the file is damaged or cut short: it was left as it is, restore a backup"
	case codeReadOnly:
		hint = "; relcheck needs to write the file and its folder"
	case codeCantOpen:
		err = folderError(path)
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
	case errors.Is(err, errForeign):
		hint = "; it was left as it is, name another file with --db"
	case errors.Is(err, errNewer):
		hint = "; install that version, or name another file with --db"
	}
	return fmt.Errorf("open %s: %w%s", path, err, hint)
}

// folderError tells why a file cannot be opened. SQLite says "unable to open
// database file" to a missing folder, to a read-only one, and more.
func folderError(path string) error {
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("folder %s does not exist; create it first", folder)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", folder)
	}
	if err := tryFolder(folder); err != nil {
		return err
	}
	return errors.New("cannot be opened; relcheck needs to read and write the file and its folder")
}

// tryFolder tells why nothing can be written to a folder.
func tryFolder(folder string) error {
	f, err := os.CreateTemp(folder, "relcheck-trial-")
	if reason := (*fs.PathError)(nil); errors.As(err, &reason) {
		return fmt.Errorf("folder %s cannot be written to: %w; relcheck needs to", folder, reason.Err)
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// full marks an error as coming from a full disk.
type full struct{ error }

func (full) DiskFull() bool  { return true }
func (f full) Unwrap() error { return f.error }
