package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"relcheck/db/dbfile"
)

// plain opens a file that is not in WAL mode, with locks.
const plain = "mode=ro&_busy_timeout=10000&_error_rc=1"

// OpenUnchanged opens a store for reading, without creating or upgrading it. A SQLite
// file may be a backup, a copy, in use by other processes, or on a read-only file system.
// Writing through the returned store fails if it is a file. The error wraps
// [fs.ErrNotExist] if the file is missing or empty.
func OpenUnchanged(ctx context.Context, name string) (*Store, error) {
	switch {
	case isPostgres(name):
		return dial(ctx, name, func(s *Store) error { return checkSchema(ctx, s.main) })
	case !IsFile(name):
		return nil, errURL
	}
	return openUnchangedFile(ctx, name)
}

func openUnchangedFile(ctx context.Context, path string) (*Store, error) {
	real := dbfile.Resolve(path)
	handle, err := dbfile.Open(real, dbfile.Read)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = probe(ctx, real)
	}
	if errors.Is(err, errNoFile) {
		handle.Release()
		return nil, fmt.Errorf("open %s: %w, or it is empty", path, fs.ErrNotExist)
	}
	mode := ""
	if err == nil {
		mode, err = unchangedMode(ctx, real)
	}
	if err == nil && handle.IsMountPoint() && mode != plain {
		err = dbfile.ErrMountPoint
	}
	if err != nil {
		handle.Release()
		return nil, openError(path, err)
	}
	main := connect(real, mode)
	s := &Store{name: real, main: main, read: main, engine: &sqliteFile{path: real, main: main, read: main, handle: handle, unchanged: true}, dialect: sqliteDialect}
	if err := checkSchema(ctx, main); err != nil {
		s.Close()
		return nil, openError(path, err)
	}
	return s, nil
}

// unchangedMode returns how to open a file without changing anything. While a process has
// a store open in WAL mode, the WAL exists; without a WAL, the file is complete.
func unchangedMode(ctx context.Context, path string) (string, error) {
	if _, err := os.Stat(path + "-wal"); err == nil {
		return withLog + "&_error_rc=1", nil
	}
	file := connect(path, untouched)
	defer file.Close()
	// See https://www.sqlite.org/fileformat.html#file_format_version_numbers.
	format, err := queryValue[[]byte](ctx, file, "SELECT substr(data, 19, 2) FROM sqlite_dbpage WHERE pgno = 1")
	if err == nil && string(format) == "\x01\x01" {
		return plain, nil
	}
	return untouched + "&_error_rc=1", err
}
