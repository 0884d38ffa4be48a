package db

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"

	"relcheck/checker/stats/rollup"
)

// lifeEnds is the number of seconds without a report after which an instance is
// forgotten, one day after it would count as new.
const lifeEnds = rollup.MaxSilence + 24*60*60

// follow reads the lifetimes of the instances that have reported. If too many instances
// are followed, it halves the sample until they are few enough.
func (s *Store) follow(ctx context.Context, f *foldStep) error {
	var unknown []int64
	for _, r := range f.reports {
		if _, known := f.known.lives[r.Hash]; !known && !r.Remembers && rollup.Sampled(r.Hash, f.sampled) {
			unknown = append(unknown, int64(r.Hash))
		}
	}
	slices.Sort(unknown) // in the order of the table
	unknown = slices.Compact(unknown)
	if err := s.readLives(ctx, f, unknown); err != nil {
		return err
	}
	for f.sample = f.sampled; ; f.sample++ {
		fresh := 0
		for _, id := range unknown {
			if _, known := f.known.lives[uint64(id)]; !known && rollup.Sampled(uint64(id), f.sample) {
				fresh++
			}
		}
		if f.known.most+fresh <= maxLives {
			return nil
		}
		err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM life WHERE product = $1 AND (id & $2) = 0", f.product, sampleMask(f.sample)).Scan(&f.known.most)
		if err != nil || f.known.most+fresh <= maxLives {
			return err
		}
	}
}

// sampleMask returns the bits that are 0 in the hashes of followed instances.
func sampleMask(sample int) int64 { return 1<<sample - 1 }

func (s *Store) readLives(ctx context.Context, f *foldStep, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	in, list := s.inList("$2", ids)
	return eachRow(ctx, s.read, func(rows *sql.Rows) error {
		var id int64
		var l rollup.Lifetime
		err := rows.Scan(&id, &l.Build, &l.First, &l.Last)
		f.known.lives[uint64(id)] = l
		return err
	}, "SELECT id, build, first, last FROM life WHERE product = $1 AND id "+in, f.product, list)
}

func (f *foldStep) storeLives(ctx context.Context, tx *sql.Tx, numbered bool) error {
	f.left = savedLives{f.product, f.step + 1, f.known.lives, f.known.most}
	if err := f.forgetLives(ctx, tx); err != nil {
		return err
	}
	lives := newInserter(tx, numbered, "INSERT INTO life (product, id, build, first, last) VALUES ",
		" ON CONFLICT (product, id) DO UPDATE SET build = excluded.build, first = excluded.first, last = excluded.last")
	defer lives.close()
	byHash := func(a, b uint64) int { return cmp.Compare(int64(a), int64(b)) } // the order of the table
	for _, hash := range slices.SortedFunc(maps.Keys(f.Changed), byHash) {
		if _, known := f.known.lives[hash]; !known {
			f.left.most++
		}
		l := f.Changed[hash]
		if err := lives.add(ctx, f.product, int64(hash), l.Build, l.First, l.Last); err != nil {
			return err
		}
	}
	return lives.flush(ctx)
}

// forgetLives removes instances that have ended, every hour, and instances that are not in
// the sample any more.
func (f *foldStep) forgetLives(ctx context.Context, tx *sql.Tx) error {
	const hour = 60 * 60
	if f.newest/hour > f.at/hour {
		f.left.lives = nil
		if _, err := tx.ExecContext(ctx, "DELETE FROM life WHERE product = $1 AND last < $2", f.product, f.newest-lifeEnds); err != nil {
			return err
		}
	}
	if f.sample == f.sampled {
		return nil
	}
	f.left.lives = nil
	if _, err := tx.ExecContext(ctx, "DELETE FROM life WHERE product = $1 AND (id & $2) <> 0", f.product, sampleMask(f.sample)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "UPDATE fold SET sample = $2 WHERE product = $1", f.product, f.sample)
	return err
}
