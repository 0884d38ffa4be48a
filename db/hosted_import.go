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
	count          int                             // of both
	staged         bool
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
		if p.lists[0].given[tag] == nil {
			return fmt.Errorf("release %s has files, but is not in the list", tag)
		}
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
	h.count = len(h.added) + len(h.changed)
	return nil
}

// stageAll stages new releases and hosted files. It then releases the memory of the staged
// and the given ones.
func (p *releaseImport) stageAll(ctx context.Context, st *stage) error {
	added := p.added()
	if len(added) > 0 {
		if err := p.stage(ctx, st, added); err != nil {
			return err
		}
	}
	err := p.stageHosted(ctx, st)
	p.hosted.staged = len(added)+len(p.hosted.added) > 0
	for _, r := range added {
		p.changes[r.tag].rows = nil
	}
	for _, l := range p.lists {
		l.Entries, l.given = nil, nil
	}
	p.hosted.given, p.hosted.added = nil, nil
	return err
}

// writes reports whether there are rows to write or to make visible.
func (p *releaseImport) writes() bool {
	for _, o := range p.changes {
		if len(o.rows) > 0 {
			return true
		}
	}
	return p.hosted.staged || len(p.hosted.changed) > 0
}

// stageHosted stages new hosted files.
func (p *releaseImport) stageHosted(ctx context.Context, st *stage) error {
	for added := p.hosted.added; len(added) > 0; {
		left := added
		err := p.chunk(ctx, func(tx *sql.Tx, enough func() bool) error {
			if err := st.renew(ctx, tx); err != nil {
				return err
			}
			for left = added; len(left) > 0 && !enough(); {
				page := left[:min(len(left), 100)]
				left = left[len(page):]
				if err := p.writeHosted(ctx, tx, page, " ON CONFLICT (product, tag, name) DO NOTHING"); err != nil { // changed meanwhile
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		added = left
	}
	return nil
}

// writeHosted stages hosted files. then is the action for existing rows.
func (p *releaseImport) writeHosted(ctx context.Context, tx *sql.Tx, files []hostedRow, then string) error {
	rows := newInserter(tx, p.numberedParams(), insertHosted, then)
	defer rows.close()
	for _, f := range files {
		if err := rows.add(ctx, hostedValues(releaseKey{p.of.id, f.tag}, &f.HostedFile, true)...); err != nil {
			return err
		}
	}
	return rows.flush(ctx)
}
