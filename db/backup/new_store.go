package backup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"relcheck/db"
	"relcheck/db/dbfile"
)

// WithNewStore calls f with a new store, which becomes the file at path when f succeeds. If f
// fails, nothing is left. The error wraps [ErrExists] if there is a file at path.
func WithNewStore(ctx context.Context, path, schema string, f func(*db.Store) error) error {
	p, err := NewPendingFile(path, filepath.Dir(path))
	if err != nil {
		return err
	}
	defer p.Discard()
	p.unlock()
	s, err := db.Open(ctx, p.Path, schema)
	if err != nil {
		return err
	}
	if err := errors.Join(f(s), s.Close()); err != nil {
		return err
	}
	if dbfile.Size(p.Path+"-wal") > 0 {
		return fmt.Errorf("create %s: its write-ahead log could not be closed: try again", path)
	}
	return p.Commit()
}
