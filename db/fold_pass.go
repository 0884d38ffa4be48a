package db

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"

	"relcheck/checker/stats/rollup"
)

type foldPass struct {
	end      int64          // last seq when the pass began; only if products share the log
	reported map[int64]bool // products that may have reports to fold
	failed   map[int64]bool
}

// beginPass finds the products that may have reports to fold, in one query: a query for
// each of thousands of products would take seconds.
func (s *Store) beginPass(ctx context.Context) (p foldPass, err error) {
	p.failed = map[int64]bool{}
	if s.logByProduct {
		p.reported, err = querySet[int64](ctx, s.read, `WITH RECURSIVE reported (product) AS (
				SELECT MIN(product) FROM report
			UNION ALL
				SELECT (SELECT MIN(product) FROM report WHERE product > reported.product) FROM reported WHERE product IS NOT NULL
			) SELECT product FROM reported WHERE product IS NOT NULL`)
		return p, err
	}
	if err = s.read.QueryRowContext(ctx, "SELECT COALESCE(MAX(seq), 0) FROM report").Scan(&p.end); err != nil {
		return p, err
	}
	before := s.folded
	if before.seq == 0 {
		if before.seq, err = s.lowestMark(ctx, p.end); err != nil {
			return p, err
		}
		before.marked = before.seq
	}
	p.reported, err = querySet[int64](ctx, s.read, "SELECT DISTINCT product FROM report WHERE seq > $1 AND seq <= $2", before.seq, p.end)
	if err == nil {
		maps.Copy(p.reported, before.except)
	}
	return p, err
}

// lowestMark returns the lowest mark of all products. In a copy of a PostgreSQL store,
// which has the log of several nodes, it is 0.
func (s *Store) lowestMark(ctx context.Context, end int64) (seq int64, err error) {
	if end>>nodeBits > 0 {
		return 0, nil
	}
	return queryValue[int64](ctx, s.read, `SELECT COALESCE(MIN(COALESCE(mark.seq, 0)), 0)
		FROM product LEFT JOIN mark ON mark.product = product.id AND mark.node = 0 WHERE product.name IS NOT NULL`)
}

// endPass records the progress of a pass. Every 100,000 reports it also advances the marks
// of products without reports, so that the next process need not read the whole log.
func (s *Store) endPass(ctx context.Context, p foldPass) error {
	const far = 100_000
	if s.logByProduct || s.folded.advance(p) < far {
		return nil
	}
	failed := slices.AppendSeq([]int64{}, maps.Keys(s.folded.except)) // not nil, which is null in JSON
	in, list := s.inList("$3", failed)
	_, err := s.update(ctx, `INSERT INTO mark (product, node, seq) SELECT id, $1, $2 FROM product WHERE name IS NOT NULL AND NOT id `+in+`
		ON CONFLICT (product, node) DO UPDATE SET seq = excluded.seq WHERE mark.seq < excluded.seq`, p.end>>nodeBits, p.end, list)
	if err == nil {
		s.folded.marked = p.end
	}
	return err
}

// foldedSeq returns a seq up to which a product's reports are folded.
func (m *foldCache) foldedSeq(product int64) int64 {
	if m.except[product] {
		return 0
	}
	return m.seq
}

// advance records a pass, and returns how far the marks may be behind it.
func (m *foldCache) advance(p foldPass) (behind int64) {
	except := map[int64]bool{}
	for product := range m.except {
		if !p.reported[product] || p.failed[product] {
			except[product] = true
		}
	}
	maps.Copy(except, p.failed)
	m.seq, m.except = max(m.seq, p.end), except
	return p.end - m.marked
}

// foldCache keeps results of a step that later steps would otherwise read again.
type foldCache struct {
	mu   sync.Mutex // held by Fold
	last savedLives

	// All reports in the log of a SQLite file up to seq are folded, except reports of some
	// products. It is zero if unknown.
	seq    int64
	except map[int64]bool
	marked int64 // seq to which the marks of products without reports were moved
}

// savedLives are lifetimes of a product's instances after a step. They are valid for the
// next step only, and not if another process makes that.
type savedLives struct {
	product, step int64
	lives         map[uint64]rollup.Lifetime // some of the stored ones
	most          int                        // upper bound of the number of stored ones
}

// take returns the lifetimes that a step has kept, if no other step was made since.
func (m *foldCache) take(product, step int64) savedLives {
	last := m.last
	m.last = savedLives{}
	if last.product != product || last.step != step {
		last = savedLives{most: math.MaxInt32 / 2}
	}
	if last.lives == nil {
		last.lives = map[uint64]rollup.Lifetime{}
	}
	return last
}

// keep keeps the lifetimes of a committed step for the next one.
func (m *foldCache) keep(f *foldStep) {
	left := f.left
	if left.lives != nil {
		maps.Copy(left.lives, f.Changed)
	}
	if len(left.lives) > maxLives {
		left.lives = nil
	}
	m.last = left
}
