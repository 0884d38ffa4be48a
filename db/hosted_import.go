package db

import (
	"context"
	"database/sql"
	"fmt"

	"relcheck/checker/catalog"
)

// hostedImport is the part of an import that stores hosted files.
type hostedImport struct {
	given          map[string][]catalog.HostedFile // by tag
	added, changed []hostedRow                     // rows to write; added rows are staged
}

// hostedRow is a hosted file to be written.
type hostedRow struct {
	tag string
	catalog.HostedFile
}

// compareHosted compares the given hosted files with the stored ones.
func (p *releaseImport) compareHosted(stored map[releaseKey]*storedRelease) error {
	h := &p.hosted
	h.added, h.changed = nil, nil
	for tag, files := range h.given {
		var have []catalog.HostedFile
		if r := stored[releaseKey{p.of.id, tag}]; r != nil {
			have = r.hosted
		}
		n := len(have)
		for _, f := range files {
			if err := f.Check(); err != nil {
				return fmt.Errorf("release %s: %w", tag, err)
			}
			row := hostedRow{tag, f}
			switch old := catalog.FindHosted(have, f.Name); {
			case old == nil:
				h.added, n = append(h.added, row), n+1
			case old.URL != f.URL || old.SHA256 != f.SHA256 || old.SHA512 != f.SHA512 || old.Size != f.Size || !old.Damaged.IsZero() || f.Verified && !old.Verified:
				h.changed = append(h.changed, row)
			}
		}
		if n > catalog.MaxFiles {
			return tooManyHosted(tag)
		}
	}
	return nil
}

// stageAll stages new releases and hosted files, and removes them from the changes. It
// reports whether there are any.
func (p *releaseImport) stageAll(ctx context.Context, st *stage) (staged bool, err error) {
	added := p.added()
	if len(added) > 0 {
		if err := p.stage(ctx, st, added); err != nil {
			return true, err
		}
	}
	for _, r := range added {
		p.changes[r.tag].rows = nil
	}
	return len(added)+len(p.hosted.added) > 0, p.stageHosted(ctx, st)
}

// stageHosted stages new hosted files.
func (p *releaseImport) stageHosted(ctx context.Context, st *stage) error {
	return stageRows(ctx, p.Store, st, p.hosted.added, 100, func(tx *sql.Tx, page []hostedRow) error {
		return p.writeHosted(ctx, tx, p.of.id, page, true, " ON CONFLICT (product, tag, name) DO NOTHING") // changed meanwhile
	})
}

// writeHosted stores hosted files. then is the action for existing rows.
func (s *Store) writeHosted(ctx context.Context, tx *sql.Tx, product int64, files []hostedRow, staged bool, then string) error {
	rows := newInserter(tx, s.numbered, "INSERT INTO hosted_file (product, tag, name, url, sha256, sha512, size, verified, fetched, damaged, staged) VALUES ", then)
	defer rows.close()
	for _, f := range files {
		err := rows.add(ctx, product, f.tag, f.Name, f.URL, f.SHA256, f.SHA512, f.Size, f.Verified, secondsOf(f.Fetched), secondsOf(f.Damaged), staged)
		if err != nil {
			return err
		}
	}
	return rows.flush(ctx)
}
