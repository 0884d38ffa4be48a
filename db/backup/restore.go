package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"relcheck/db"
	"relcheck/db/dbfile"
)

// Restore verifies the SQLite store in the file from and creates a new store from it: a
// file, or the tables of an empty PostgreSQL database. from is not changed. The new
// store is complete or does not exist. An existing store is never replaced; the error
// wraps [db.ErrInUse] if a server holds its lock. progress is called repeatedly, with
// done == total before the new store is verified. A backup with an older schema becomes
// a file with that schema, which is upgraded when it is opened.
func Restore(ctx context.Context, from, name, schema string, progress func(done, total int64)) (db.RowCounts, error) {
	s, err := db.OpenUnchanged(ctx, from)
	if err != nil {
		return nil, dbfile.Advise(err, "name a backup")
	}
	defer s.Close()
	if err := s.LogLost(); err != nil {
		return nil, fmt.Errorf("restore %w", err)
	}
	if _, err := s.Verify(ctx, schema); err != nil {
		return nil, fmt.Errorf("restore %s: %w; nothing was restored, use another backup", from, err)
	}
	if !db.IsFile(name) {
		return s.Copy(ctx, name, schema, progress)
	}
	return restoreFile(ctx, s, dbfile.Resolve(name), schema, progress)
}

// restoreFile holds the lock of the new store, so that no server creates or opens it.
func restoreFile(ctx context.Context, s *db.Store, path, schema string, progress func(done, total int64)) (db.RowCounts, error) {
	err := cmp.Or(dbfile.CheckCompanions(path), checkVacant(path))
	if _, missing := os.Stat(filepath.Dir(path)); err == nil && missing != nil {
		err = dbfile.FolderError(path)
	}
	if err != nil {
		return nil, fmt.Errorf("restore to %s: %w", path, err)
	}
	lock, err := dbfile.AcquireLock(path, nil)
	if err != nil {
		return nil, fmt.Errorf("restore to %s: %w", path, err)
	}
	defer lock.Release()
	if isEmptyFile(path) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return create(ctx, s, path, filepath.Dir(path), schema, progress)
}

// checkVacant returns an error if there is a store at path or a part of one. Empty files
// are ignored.
func checkVacant(path string) error {
	for _, suffix := range []string{"", "-wal", "-journal"} {
		_, err := os.Lstat(path + suffix)
		if errors.Is(err, fs.ErrNotExist) || isEmptyFile(path+suffix) {
			continue
		}
		if err != nil {
			return err
		}
		return fmt.Errorf("%s already exists and was not changed: stop the server that uses it and move it away with its -wal and -shm files, or name another store with --db", path+suffix)
	}
	return nil
}

func isEmptyFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == 0
}
