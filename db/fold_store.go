package db

import (
	"context"
	"database/sql"
)

func (s *Store) storeStep(ctx context.Context, tx *sql.Tx, f *foldStep) error {
	if err := f.claim(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO mark (product, node, seq) VALUES ($1, $2, $3)
		ON CONFLICT (product, node) DO UPDATE SET seq = excluded.seq`, f.product, f.node, f.next); err != nil {
		return err
	}
	if err := f.storeRollups(ctx, tx, s.numbered); err != nil {
		return err
	}
	return f.storeLives(ctx, tx, s.numbered)
}

// claim makes this the next step of the product. The error is errFoldedElsewhere if
// another process has made one.
func (f *foldStep) claim(ctx context.Context, tx *sql.Tx) error {
	if f.step == 0 {
		if _, err := tx.ExecContext(ctx, `INSERT INTO fold (product, step, sample, at)
			SELECT id, 0, 0, 0 FROM product WHERE id = $1 AND name IS NOT NULL ON CONFLICT (product) DO NOTHING`, f.product); err != nil {
			return err
		}
	}
	return requireUpdate(ctx, tx, errFoldedElsewhere, "UPDATE fold SET step = step + 1, at = $3 WHERE product = $1 AND step = $2", f.product, f.step, f.newest)
}

const (
	insertRollup = "INSERT INTO rollup (product, span, day, build, reports, ids, started, again) VALUES "
	insertSketch = "INSERT INTO sketch (product, span, day, build, data) VALUES "
	sameSlot     = " ON CONFLICT (product, span, day, build) DO UPDATE SET "
)

func (f *foldStep) storeRollups(ctx context.Context, tx *sql.Tx, numbered bool) error {
	counts := newInserter(tx, numbered, insertRollup, sameSlot+"reports = excluded.reports, ids = excluded.ids")
	sketches := newInserter(tx, numbered, insertSketch, sameSlot+"data = excluded.data")
	starts := newInserter(tx, numbered, insertRollup, sameSlot+"started = rollup.started + excluded.started, again = rollup.again + excluded.again")
	defer counts.close()
	defer sketches.close()
	defer starts.close()
	for _, r := range f.rollups {
		err := counts.add(ctx, f.product, r.Span, r.Day, r.Build, r.reports, r.ids, 0, 0)
		if err == nil {
			err = sketches.add(ctx, f.product, r.Span, r.Day, r.Build, r.sketch)
		}
		if err != nil {
			return err
		}
	}
	// Stop at the first error: SQLite may have rolled back by itself, and would commit what
	// follows on its own.
	if err := counts.flush(ctx); err != nil {
		return err
	}
	if err := sketches.flush(ctx); err != nil {
		return err
	}
	for slot, n := range f.Starts {
		if err := starts.add(ctx, f.product, slot.Span, slot.Day, slot.Build, 0, 0, n.Started, n.Repeated); err != nil {
			return err
		}
	}
	return starts.flush(ctx)
}
