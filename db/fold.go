package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"relcheck/checker/stats"
)

var (
	// foldPage is how many reports are folded in one step.
	foldPage = 20_000
	// maxLives is how many ids of a product are followed before only a sample is.
	maxLives = 100_000
)

// lifeEnds is after how many seconds of silence an id is forgotten. It is
// somewhat later than the id would count as a new one.
const lifeEnds = stats.Silence + 24*60*60

// errOvertaken is that somebody else has folded the same reports first.
var errOvertaken = errors.New("another server folds the same reports")

// Fold merges the reports that came in since the last time into the rollups, and
// returns how many they were. A step is one transaction, in which the mark up to
// which reports are folded moves on: whenever a process ends, and however many
// fold at once, each report is folded once.
func (s *Store) Fold(ctx context.Context) (reports int64, err error) {
	all, err := products(ctx, s.read)
	if err != nil {
		return 0, s.explain(err)
	}
	var errs []error
	for _, p := range all {
		n, err := s.foldProduct(ctx, p.id)
		reports += n
		if err != nil && !errors.Is(err, errOvertaken) { // by one who folds as well
			errs = append(errs, fmt.Errorf("fold the reports of %s: %w", p.Name, s.explain(err)))
		}
	}
	return reports, errors.Join(errs...)
}

func (s *Store) foldProduct(ctx context.Context, product int64) (reports int64, err error) {
	nodes, err := query(ctx, s.read, func(rows *sql.Rows) (node int64, err error) {
		err = rows.Scan(&node)
		return node, err
	}, unfolded(s.ofProduct()), product)
	for _, node := range nodes {
		for more := true; more && err == nil; {
			var n int64
			n, more, err = s.foldStep(ctx, product, node)
			reports += n
		}
	}
	return reports, err
}

// unfolded lists the nodes that have reports beyond their mark. It finds the
// first report of each node, which takes one look into the log.
func unfolded(ofProduct string) string {
	return strings.ReplaceAll(`WITH RECURSIVE first (seq) AS (
			SELECT MIN(seq) FROM report WHERE {} seq > 0
		UNION ALL
			SELECT (SELECT MIN(seq) FROM report WHERE {} seq >= ((first.seq >> 40) + 1) << 40) FROM first WHERE first.seq IS NOT NULL
		)
		SELECT first.seq >> 40 FROM first LEFT JOIN mark ON mark.product = $1 AND mark.node = first.seq >> 40
		WHERE first.seq IS NOT NULL AND
			COALESCE(mark.seq, 0) < (SELECT MAX(seq) FROM report WHERE {} seq < ((first.seq >> 40) + 1) << 40)`, "{}", ofProduct)
}

// folding is one step on its way.
type folding struct {
	product, node int64
	step          int64 // how many there were before
	sample        int
	at            int64 // when the newest report came in, before this step
	mark, next    int64 // where the step begins and ends
	reports       []stats.Report
	rollups       map[stats.Slot]*stats.Rollup // as they are to be stored
	*stats.Fold
}

// foldStep folds the next reports of a node, and tells whether there may be more.
// It reads and computes before its transaction, which is a short one therefore,
// and fails if anybody else has made a step in the meantime.
func (s *Store) foldStep(ctx context.Context, product, node int64) (n int64, more bool, err error) {
	overtaken := func(err error) bool { return errors.Is(err, errOvertaken) }
	err = retry(ctx, overtaken, func() error {
		f := folding{product: product, node: node}
		if err := s.prepareStep(ctx, &f); err != nil || f.next == f.mark {
			n, more = 0, false
			return err
		}
		n, more = int64(len(f.reports)), len(f.reports) == foldPage
		return s.inTx(ctx, func(tx *sql.Tx) error { return s.storeStep(ctx, tx, &f) })
	})
	return n, more, err
}

func (s *Store) prepareStep(ctx context.Context, f *folding) error {
	f.mark = f.node << nodeBits
	f.next = f.mark
	err := s.read.QueryRowContext(ctx, `SELECT COALESCE(fold.step, 0), COALESCE(fold.sample, 0), COALESCE(fold.at, 0), COALESCE(mark.seq, $3)
		FROM product LEFT JOIN fold ON fold.product = product.id LEFT JOIN mark ON mark.product = product.id AND mark.node = $2
		WHERE product.id = $1 AND product.name IS NOT NULL`, f.product, f.node, f.mark).Scan(&f.step, &f.sample, &f.at, &f.mark)
	if errors.Is(err, sql.ErrNoRows) { // the product was removed
		return nil
	}
	f.next = f.mark
	if err == nil {
		err = s.readStep(ctx, f)
	}
	if err != nil {
		return err
	}
	lives, err := s.lives(ctx, f)
	if err != nil {
		return err
	}
	f.Fold = stats.NewFold(f.sample, lives)
	for _, r := range f.reports {
		f.Add(r)
	}
	return s.merge(ctx, f)
}

// readStep reads the reports of a step, and how far they lead. In a SQLite file,
// whose log is that of all products, they may lead past those of others.
func (s *Store) readStep(ctx context.Context, f *folding) error {
	key, err := s.idKey(ctx)
	if err != nil {
		return err
	}
	var end int64
	err = s.read.QueryRowContext(ctx, "SELECT COALESCE(MAX(seq), 0) FROM report WHERE "+s.ofProduct()+" seq < $2", f.product, (f.node+1)<<nodeBits).Scan(&end)
	if err != nil {
		return err
	}
	looked := nodeOf{f.product, f.node}
	rows, err := s.read.QueryContext(ctx, `SELECT seq, at, build, instance, heap FROM report
		WHERE product = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`, f.product, max(f.mark, s.looked.upTo(looked)), end, foldPage)
	if err != nil {
		return err
	}
	defer rows.Close()
	var id sql.RawBytes
	for rows.Next() {
		var r stats.Report
		var heap sql.NullInt64
		if err := rows.Scan(&f.next, &r.At, &r.Build, &id, &heap); err != nil {
			return err
		}
		if heap.Valid {
			r.Heap = &heap.Int64
		}
		r.Hash = key.Hash(uuid.UUID(id))
		f.reports = append(f.reports, r)
	}
	const far = 100_000 // is worth a transaction, for not going there again after a restart
	n := len(f.reports)
	if 0 < n && n < foldPage || n == 0 && end-f.mark > far {
		f.next = end
	}
	if n == 0 && rows.Err() == nil {
		s.looked.note(looked, end)
	}
	return rows.Err()
}

// nodeOf is the part of a product in a node's log.
type nodeOf struct{ product, node int64 }

// looked is how far in the log there is nothing of a product beyond its mark. Where
// the log lies together as a whole, one that is not reported of has it all to pass.
type looked struct {
	mu   sync.Mutex
	last map[nodeOf]int64
}

func (l *looked) upTo(n nodeOf) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[n]
}

func (l *looked) note(n nodeOf, seq int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[nodeOf]int64{}
	}
	l.last[n] = seq
}

// lives reads what is known of the ids that have reported.
func (s *Store) lives(ctx context.Context, f *folding) (map[uint64]stats.Life, error) {
	lives := map[uint64]stats.Life{}
	seen := make(map[uint64]bool, len(f.reports))
	var ids []int64
	for _, r := range f.reports {
		if stats.Followed(r.Hash, f.sample) && !seen[r.Hash] {
			seen[r.Hash] = true
			ids = append(ids, int64(r.Hash))
		}
	}
	if len(ids) == 0 {
		return lives, nil
	}
	in, list := s.in("$2", ids)
	rows, err := s.read.QueryContext(ctx, "SELECT id, build, first, last FROM life WHERE product = $1 AND id "+in, f.product, list)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var l stats.Life
		if err := rows.Scan(&id, &l.Build, &l.First, &l.Last); err != nil {
			return nil, err
		}
		lives[uint64(id)] = l
	}
	return lives, rows.Err()
}

// merge adds the rollups that are stored to those of the step.
func (s *Store) merge(ctx context.Context, f *folding) error {
	f.rollups = f.Rollups()
	builds := map[stats.Period][]int64{}
	for slot := range f.rollups {
		builds[slot.Period] = append(builds[slot.Period], slot.Build)
	}
	for period, ids := range builds {
		in, list := s.in("$4", ids)
		err := eachSketch(ctx, s.read, func(slot stats.Slot, data []byte) error {
			stored := new(stats.Rollup)
			if err := stored.UnmarshalBinary(data); err != nil {
				return badSketch(slot, err)
			}
			stored.Merge(f.rollups[slot])
			f.rollups[slot] = stored
			return nil
		}, "product = $1 AND span = $2 AND day = $3 AND build "+in, f.product, period.Span, period.Day, list)
		if err != nil {
			return err
		}
	}
	return nil
}

// eachSketch calls f with each rollup for which the condition holds, as it is
// stored. The bytes are good only until f returns.
func eachSketch(ctx context.Context, q querier, f func(stats.Slot, []byte) error, where string, args ...any) error {
	rows, err := q.QueryContext(ctx, "SELECT span, day, build, data FROM sketch WHERE "+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var data sql.RawBytes
	for rows.Next() {
		var slot stats.Slot
		if err := rows.Scan(&slot.Span, &slot.Day, &slot.Build, &data); err != nil {
			return err
		}
		if err := f(slot, data); err != nil {
			return err
		}
	}
	return rows.Err()
}

// storeStep writes what a step comes to.
func (s *Store) storeStep(ctx context.Context, tx *sql.Tx, f *folding) error {
	newest := f.at
	for _, r := range f.reports { // but for those of a clock that was ahead
		newest = max(newest, min(r.At, time.Now().Unix()))
	}
	if err := f.take(ctx, tx, newest); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO mark (product, node, seq) VALUES ($1, $2, $3)
		ON CONFLICT (product, node) DO UPDATE SET seq = excluded.seq`, f.product, f.node, f.next); err != nil {
		return err
	}
	if err := f.storeRollups(ctx, tx, s.numbered()); err != nil {
		return err
	}
	return f.storeLives(ctx, tx, s.numbered(), newest)
}

// take makes this the product's next step, unless somebody else has made one.
func (f *folding) take(ctx context.Context, tx *sql.Tx, newest int64) error {
	if f.step == 0 {
		if _, err := tx.ExecContext(ctx, `INSERT INTO fold (product, step, sample, at)
			SELECT id, 0, 0, 0 FROM product WHERE id = $1 AND name IS NOT NULL ON CONFLICT (product) DO NOTHING`, f.product); err != nil {
			return err
		}
	}
	res, err := tx.ExecContext(ctx, "UPDATE fold SET step = step + 1, at = $3 WHERE product = $1 AND step = $2", f.product, f.step, newest)
	return changedOne(res, err, errOvertaken)
}

const (
	insertRollup = "INSERT INTO rollup (product, span, day, build, reports, ids, started, again) VALUES "
	insertSketch = "INSERT INTO sketch (product, span, day, build, data) VALUES "
	insertLife   = "INSERT INTO life (product, id, build, first, last) VALUES "
	sameSlot     = " ON CONFLICT (product, span, day, build) DO UPDATE SET "
)

func (f *folding) storeRollups(ctx context.Context, tx *sql.Tx, numbered bool) error {
	counts := newInserter(tx, numbered, insertRollup, sameSlot+"reports = excluded.reports, ids = excluded.ids")
	sketches := newInserter(tx, numbered, insertSketch, sameSlot+"data = excluded.data")
	starts := newInserter(tx, numbered, insertRollup, sameSlot+"started = rollup.started + excluded.started, again = rollup.again + excluded.again")
	defer counts.close()
	defer sketches.close()
	defer starts.close()
	for slot, r := range f.rollups {
		data, err := r.AppendBinary(nil)
		if err == nil {
			err = counts.add(ctx, f.product, slot.Span, slot.Day, slot.Build, r.Reports, r.IDs(), 0, 0)
		}
		if err == nil {
			err = sketches.add(ctx, f.product, slot.Span, slot.Day, slot.Build, data)
		}
		if err != nil {
			return err
		}
	}
	if err := errors.Join(counts.flush(ctx), sketches.flush(ctx)); err != nil {
		return err
	}
	for slot, n := range f.Starts {
		if err := starts.add(ctx, f.product, slot.Span, slot.Day, slot.Build, 0, 0, n.Started, n.Again); err != nil {
			return err
		}
	}
	return starts.flush(ctx)
}

func (f *folding) storeLives(ctx context.Context, tx *sql.Tx, numbered bool, newest int64) error {
	lives := newInserter(tx, numbered, insertLife, " ON CONFLICT (product, id) DO UPDATE SET build = excluded.build, first = excluded.first, last = excluded.last")
	defer lives.close()
	for hash, l := range f.Changed {
		if err := lives.add(ctx, f.product, int64(hash), l.Build, l.First, l.Last); err != nil {
			return err
		}
	}
	if err := lives.flush(ctx); err != nil || len(f.Changed) == 0 {
		return err
	}
	const hour = 60 * 60
	if newest/hour > f.at/hour {
		if _, err := tx.ExecContext(ctx, "DELETE FROM life WHERE product = $1 AND last < $2", f.product, newest-lifeEnds); err != nil {
			return err
		}
	}
	return f.thin(ctx, tx)
}

// thin halves the sample until it is not too large any more.
func (f *folding) thin(ctx context.Context, tx *sql.Tx) error {
	for sample := f.sample + 1; ; sample++ {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM life WHERE product = $1", f.product).Scan(&n); err != nil || n <= maxLives {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM life WHERE product = $1 AND (id & $2) <> 0", f.product, int64(1)<<sample-1); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE fold SET sample = $2 WHERE product = $1", f.product, sample); err != nil {
			return err
		}
	}
}

// idKey is what hashes of ids are keyed by.
func (s *Store) idKey(ctx context.Context) (k stats.Key, err error) {
	secret, err := s.secret(ctx, "ids")
	if err == nil && copy(k[:], secret) != len(k) {
		err = fmt.Errorf("the store's secret for ids has %d bytes, not %d", len(secret), len(k))
	}
	return k, err
}

func (s *Store) secret(ctx context.Context, name string) (value []byte, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT value FROM secret WHERE name = $1", name).Scan(&value)
	return value, err
}
