package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"relcheck/checker/stats/rollup"
)

var (
	// foldPage is how many reports are folded in one step, and in the next ones twice
	// and four times as many where there are more: what a step costs by itself, and
	// those who write wait for, is the rollups of all builds that are reported of.
	foldPage = 50_000
	// maxLives is how many ids of a product are followed before only a sample is.
	// Their lives are what each report may change.
	maxLives = 20_000
)

// foldSpan is how many seconds a step spans at most: of a longer past, such as one
// that was imported, it would have to follow ids that have long ended.
const foldSpan = 24 * 60 * 60

// errOvertaken is that somebody else has folded the same reports first.
var errFoldedElsewhere = errors.New("another server folds the same reports")

// Fold merges the reports that came in since the last time into the rollups, and
// returns how many they were. A step is one transaction, in which the mark up to
// which reports are folded moves on: whenever a process ends, and however many
// fold at once, each report is folded once.
func (s *Store) Fold(ctx context.Context) (reports int64, err error) {
	pass, err := s.beginPass(ctx)
	if err != nil {
		return 0, s.explain(err)
	}
	all, err := productNames(ctx, s.read)
	if err != nil {
		return 0, s.explain(err)
	}
	var errs []error
	for _, p := range all {
		if !pass.reported[p.id] {
			continue
		}
		n, err := s.foldProduct(ctx, p.id)
		reports += n
		if err != nil {
			pass.failed[p.id] = true
		}
		if err != nil && !errors.Is(err, errFoldedElsewhere) { // by one who folds as well
			errs = append(errs, fmt.Errorf("fold the reports of %s: %w", p.Name, s.explain(err)))
		}
	}
	return reports, errors.Join(append(errs, s.endPass(ctx, pass))...)
}

func (s *Store) foldProduct(ctx context.Context, product int64) (reports int64, err error) {
	nodes, err := query(ctx, s.read, func(rows *sql.Rows) (node int64, err error) {
		err = rows.Scan(&node)
		return node, err
	}, unfolded(s.productCond()), product)
	for _, node := range nodes {
		page := foldPage
		for more := true; more && err == nil; page = min(2*page, 4*foldPage) {
			var n int64
			n, more, err = s.foldStep(ctx, product, node, page)
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
	sampled       int   // one of 2^sampled ids was followed before this step
	sample        int   // and one of 2^sample is from now on
	at, newest    int64 // when the newest report came in, before this step and after it
	mark, next    int64 // where the step begins and ends
	page          int   // how many reports there may be
	more          bool  // there may be some beyond that
	reports       []rollup.Report
	rollups       []storedRollup
	known         savedLives // from the step before, with the lives of all who report
	left          savedLives // to the next step
	*rollup.Fold
}

// storedRollup is a rollup as it is to be stored.
type storedRollup struct {
	rollup.Slot
	reports, ids int64
	sketch       []byte
}

// foldStep folds the next reports of a node, and tells whether there may be more.
// It reads and computes before its transaction, which is a short one therefore,
// and fails if anybody else has made a step in the meantime.
func (s *Store) foldStep(ctx context.Context, product, node int64, page int) (n int64, more bool, err error) {
	overtaken := func(err error) bool { return errors.Is(err, errFoldedElsewhere) }
	err = retry(ctx, overtaken, func() error {
		f := folding{product: product, node: node, page: page}
		if err := s.prepareStep(ctx, &f); err != nil || f.next == f.mark {
			n, more = 0, false
			return err
		}
		n, more = int64(len(f.reports)), f.more
		err := s.inTx(ctx, func(tx *sql.Tx) error { return s.storeStep(ctx, tx, &f) })
		if err == nil {
			s.folded.keep(&f)
		}
		return err
	})
	return n, more, err
}

func (s *Store) prepareStep(ctx context.Context, f *folding) error {
	f.mark = f.node << nodeBits
	f.next = f.mark
	err := s.read.QueryRowContext(ctx, `SELECT COALESCE(fold.step, 0), COALESCE(fold.sample, 0), COALESCE(fold.at, 0), COALESCE(mark.seq, $3)
		FROM product LEFT JOIN fold ON fold.product = product.id LEFT JOIN mark ON mark.product = product.id AND mark.node = $2
		WHERE product.id = $1 AND product.name IS NOT NULL`, f.product, f.node, f.mark).Scan(&f.step, &f.sampled, &f.at, &f.mark)
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
	f.newest = f.at
	for _, r := range f.reports { // but for those of a clock that was ahead
		f.newest = max(f.newest, min(r.At, time.Now().Unix()))
	}
	f.known = s.folded.take(f.product, f.step)
	if err := s.follow(ctx, f); err != nil {
		return err
	}
	f.Fold = rollup.NewFold(f.sample, f.known.lives)
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
	err = s.read.QueryRowContext(ctx, "SELECT COALESCE(MAX(seq), 0) FROM report WHERE "+s.productCond()+" seq < $2", f.product, (f.node+1)<<nodeBits).Scan(&end)
	if err != nil {
		return err
	}
	rows, err := s.read.QueryContext(ctx, `SELECT seq, at, build, instance, heap FROM report
		WHERE product = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`, f.product, max(f.mark, s.folded.passedOf(f.product)), end, f.page)
	if err != nil {
		return err
	}
	defer rows.Close()
	var id sql.RawBytes
	for rows.Next() {
		var seq int64
		var r rollup.Report
		var heap sql.NullInt64
		if err := rows.Scan(&seq, &r.At, &r.Build, &id, &heap); err != nil {
			return err
		}
		if heap.Valid {
			r.Heap = &heap.Int64
		}
		if len(f.reports) > 0 && max(r.At-f.reports[0].At, f.reports[0].At-r.At) > foldSpan {
			f.more = true
			break
		}
		r.Hash = key.Hash(uuid.UUID(id))
		f.next, f.reports = seq, append(f.reports, r)
	}
	n := len(f.reports)
	f.more = f.more || n == f.page
	if 0 < n && !f.more {
		f.next = end
	}
	return rows.Err()
}

// merge adds the rollups that are stored to those of the step, and encodes them:
// not while others wait for its transaction to end.
func (s *Store) merge(ctx context.Context, f *folding) error {
	rollups, before := maps.Clone(f.Days()), map[rollup.Slot]rollup.Heaps{}
	err := s.addStored(ctx, f.product, rollups, func(slot rollup.Slot, stored *rollup.Rollup) {
		if f.isLate(slot.In(rollup.OneWeek)) {
			before[slot] = stored.Heaps()
		}
	})
	if err != nil {
		return err
	}
	late := f.late(rollups, before)
	if err := s.addStored(ctx, f.product, late, func(rollup.Slot, *rollup.Rollup) {}); err != nil {
		return err
	}
	for _, span := range rollup.Spans[1:] {
		if err := s.sumUp(ctx, f, span, rollups); err != nil {
			return err
		}
	}
	maps.Copy(rollups, late)
	for slot, r := range rollups {
		sketch, err := r.AppendBinary(nil)
		if err != nil {
			return err
		}
		f.rollups = append(f.rollups, storedRollup{slot, r.Reports, r.Instances(), sketch})
	}
	slices.SortFunc(f.rollups, func(a, b storedRollup) int { // in the order of the tables
		return cmp.Or(cmp.Compare(a.Span, b.Span), cmp.Compare(a.Day, b.Day), cmp.Compare(a.Build, b.Build))
	})
	return nil
}

// late is what the step adds to the longer rollups of periods that were over before it.
// There are none of the others: they would be written anew with each step, at twice
// the cost of those of days. Days are the rollups with the step, and before has the
// heaps that they had without it.
func (f *folding) late(days map[rollup.Slot]*rollup.Rollup, before map[rollup.Slot]rollup.Heaps) map[rollup.Slot]*rollup.Rollup {
	all := map[rollup.Slot]*rollup.Rollup{}
	for slot, part := range f.Days() {
		for _, span := range rollup.Spans[1:] {
			if longer := slot.In(span); f.isLate(longer) {
				rollup.AddLatePart(all, longer, part, days[slot], before[slot])
			}
		}
	}
	return all
}

// isLate reports whether a period was over before the step.
func (f *folding) isLate(slot rollup.Slot) bool { return slot.Ended(dayOf(f.at)) }

// sumUp adds to the rollups of the step those of a longer span whose period it finds to
// be over: what is stored of the days, and the step's own days as they will be.
func (s *Store) sumUp(ctx context.Context, f *folding, span rollup.Span, rollups map[rollup.Slot]*rollup.Rollup) error {
	open := span.Start(dayOf(f.at)) // the first day of the first that was not over
	end := span.Start(dayOf(f.newest))
	if open == end {
		return nil
	}
	sums := map[rollup.Slot]*rollup.Rollup{}
	for slot, day := range rollups {
		if slot.Span == rollup.OneDay && open <= slot.Day && slot.Day < end {
			rollup.AddPart(sums, slot.In(span), day)
		}
	}
	err := eachSketch(ctx, s.read, func(slot rollup.Slot, data []byte) error {
		if rollups[slot] != nil {
			return nil
		}
		day := new(rollup.Rollup)
		if err := day.UnmarshalBinary(data); err != nil {
			return badSketch(slot, err)
		}
		rollup.AddPart(sums, slot.In(span), day)
		return nil
	}, "product = $1 AND span = $2 AND day >= $3 AND day < $4", f.product, rollup.OneDay, open, end)
	maps.Copy(rollups, sums)
	return err
}

// dayOf is the day of a time in seconds since 1970.
func dayOf(seconds int64) rollup.Day { return rollup.DayOf(time.Unix(seconds, 0)) }

// addStored adds to rollups those that are stored. It calls before with each of
// these before it does.
func (s *Store) addStored(ctx context.Context, product int64, rollups map[rollup.Slot]*rollup.Rollup, before func(rollup.Slot, *rollup.Rollup)) error {
	builds := map[rollup.Period][]int64{}
	for slot := range rollups {
		builds[slot.Period] = append(builds[slot.Period], slot.Build)
	}
	for period, ids := range builds {
		in, list := s.inList("$4", ids)
		err := eachSketch(ctx, s.read, func(slot rollup.Slot, data []byte) error {
			stored := new(rollup.Rollup)
			if err := stored.UnmarshalBinary(data); err != nil {
				return badSketch(slot, err)
			}
			before(slot, stored)
			stored.Merge(rollups[slot])
			rollups[slot] = stored
			return nil
		}, "product = $1 AND span = $2 AND day = $3 AND build "+in, product, period.Span, period.Day, list)
		if err != nil {
			return err
		}
	}
	return nil
}

// eachSketch calls f with each rollup for which the condition holds, as it is
// stored. The bytes are good only until f returns.
func eachSketch(ctx context.Context, q querier, f func(rollup.Slot, []byte) error, where string, args ...any) error {
	rows, err := q.QueryContext(ctx, "SELECT span, day, build, data FROM sketch WHERE "+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var data sql.RawBytes
	for rows.Next() {
		var slot rollup.Slot
		if err := rows.Scan(&slot.Span, &slot.Day, &slot.Build, &data); err != nil {
			return err
		}
		if err := f(slot, data); err != nil {
			return err
		}
	}
	return rows.Err()
}

// idKey is what hashes of ids are keyed by.
func (s *Store) idKey(ctx context.Context) (k rollup.Key, err error) {
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
