// Package backup makes backups of a store, on request or on a schedule, and
// restores them.
//
// A backup is a SQLite file, even if the store is in PostgreSQL. It is written under
// a temporary name, verified, synced, and then linked to its own name: a file with the
// name of a backup is complete.
package backup

import (
	"context"
	"fmt"
	"path/filepath"

	"relcheck/db"
)

// Create copies everything that the store held at the start into a new SQLite file and
// returns the number of rows by table. Servers keep recording meanwhile. The file must
// not exist; it appears under its name only when it has been verified and synced.
// progress is called repeatedly, with done == total before the copy is verified. If root
// makes the backup, it belongs to the owner of the store's file.
func Create(ctx context.Context, s *db.Store, path, schema string, progress func(done, total int64)) (db.RowCounts, error) {
	like := filepath.Dir(path)
	if db.IsFile(s.Name()) {
		like = s.Name()
	}
	return create(ctx, s, path, like, schema, progress)
}

// create is Create with the file or folder whose owner the copy gets.
func create(ctx context.Context, s *db.Store, path, like, schema string, progress func(done, total int64)) (db.RowCounts, error) {
	p, err := NewPendingFile(path, like)
	if err != nil {
		return nil, err
	}
	defer p.Discard()
	if err := s.CopyToFile(ctx, p.Path, schema, progress); err != nil {
		return nil, fmt.Errorf("back up %s: %w", s.Name(), err)
	}
	rows, err := Verify(ctx, p.Path, schema)
	if err != nil {
		return nil, fmt.Errorf("back up %s: verify the copy: %w", s.Name(), err)
	}
	return rows, p.Commit()
}

// Verify checks the SQLite store in a file completely, without changing it, and returns
// the number of rows by table.
func Verify(ctx context.Context, path, schema string) (db.RowCounts, error) {
	s, err := db.OpenUnchanged(ctx, path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Verify(ctx, schema)
}
