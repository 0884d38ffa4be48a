package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"relcheck/db/dbfile"
)

// Restore verifies the SQLite store in a file and makes a new store of it: a file,
// or a PostgreSQL database that is empty. The one that is read is not changed, and
// whatever happens, the new one is whole or not there at all. Nothing may be in its
// place; the error wraps [ErrInUse] while a server holds it. progress is called now
// and then, and with done = total before what was written is verified. A store of
// an older schema becomes a file of that, which is upgraded once it is opened.
func Restore(ctx context.Context, from, name, schema string, progress func(done, total int64)) (Copied, error) {
	s, err := OpenUnchanged(ctx, from)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := s.LogLost(); err != nil {
		return nil, fmt.Errorf("restore %w", err)
	}
	if _, err := verify(ctx, s.read, schema); err != nil {
		return nil, fmt.Errorf("restore %s: %w; nothing was restored, take another backup", from, err)
	}
	if isPostgres(name) || notAFile.MatchString(name) {
		if version, err := setting(ctx, s.read, "schema"); err != nil {
			return nil, err
		} else if version < schemaVersion {
			return nil, fmt.Errorf("restore %s: it is of an older relcheck, with schema %d: restore it to a file, and copy that with relcheck copy", from, version)
		}
		return s.Copy(ctx, name, schema, progress)
	}
	return s.restoreFile(ctx, dbfile.Resolve(name), schema, progress)
}

// restoreFile holds the lock of the new store, so that no server begins with it.
func (s *Store) restoreFile(ctx context.Context, path, schema string, progress func(done, total int64)) (Copied, error) {
	err := cmp.Or(dbfile.CheckCompanions(path), vacant(path))
	if _, missing := os.Stat(filepath.Dir(path)); err == nil && missing != nil {
		err = dbfile.FolderError(path)
	}
	if err != nil {
		return nil, fmt.Errorf("restore to %s: %w", path, err)
	}
	held, err := dbfile.AcquireLock(path, nil)
	if err != nil {
		return nil, fmt.Errorf("restore to %s: %w", path, err)
	}
	defer held.Release()
	if info, err := os.Stat(path); err == nil && info.Size() == 0 && info.Mode().IsRegular() {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return s.Backup(ctx, path, schema, progress)
}

// vacant makes sure that there is neither a store nor a part of one, but for an
// empty file.
func vacant(path string) error {
	for _, suffix := range []string{"", "-wal", "-journal"} {
		info, err := os.Lstat(path + suffix)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 && info.Mode().IsRegular() {
			continue
		}
		if err != nil {
			return err
		}
		return fmt.Errorf("%s is there already, and it was left as it is; stop the server that uses it and move it away, with its -wal and -shm, or name another store with --db", path+suffix)
	}
	return nil
}
