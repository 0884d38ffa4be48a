package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
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
	// foldPage is the number of reports that the first step folds; later steps fold two and
	// four times as many. Each step rewrites the rollups of all builds in it, while writers
	// wait.
	foldPage = 50_000
	// maxLives is the maximum number of instances of a product that are followed; if there
	// are more, a sample is followed.
	maxLives = 20_000
)

// foldSpan limits the period that a step covers, in seconds. In a longer one, such as an
// imported year, a step would follow many instances that have long ended.
const foldSpan = 24 * 60 * 60

// errFoldedElsewhere is returned by a step whose reports another process has folded.
var errFoldedElsewhere = errors.New("another server folds the same reports")

// Fold merges new reports into the rollups and returns their number. A step is one
// transaction, which also advances the mark of the last folded report: each report is
// folded once, even if processes are killed or several fold at the same time.
func (s *Store) Fold(ctx context.Context) (reports int64, err error) {
	s.folded.mu.Lock()
	defer s.folded.mu.Unlock()
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
		if err != nil && !errors.Is(err, errFoldedElsewhere) {
			errs = append(errs, fmt.Errorf("fold the reports of %s: %w", p.Name, s.explain(err)))
		}
	}
	return reports, errors.Join(append(errs, s.endPass(ctx, pass))...)
}

func (s *Store) foldProduct(ctx context.Context, product int64) (reports int64, err error) {
	nodes, err := query(ctx, s.read, scanValue[int64], unfoldedNodes(s.productCond), product)
	for _, node := range nodes {
		page := foldPage
		for more := true; more && err == nil; page = min(2*page, 4*foldPage) {
			var n int64
			n, more, err = s.runStep(ctx, product, node, page)
			reports += n
		}
	}
	return reports, err
}

// unfoldedNodes is a query for the nodes with reports after their mark. It looks up the
// first report of each node in the index.
func unfoldedNodes(productCond string) string {
	return strings.ReplaceAll(`WITH RECURSIVE first (seq) AS (
			SELECT MIN(seq) FROM report WHERE {} seq > 0
		UNION ALL
			SELECT (SELECT MIN(seq) FROM report WHERE {} seq >= ((first.seq >> 40) + 1) << 40) FROM first WHERE first.seq IS NOT NULL
		)
		SELECT first.seq >> 40 FROM first LEFT JOIN mark ON mark.product = $1 AND mark.node = first.seq >> 40
		WHERE first.seq IS NOT NULL AND
			COALESCE(mark.seq, 0) < (SELECT MAX(seq) FROM report WHERE {} seq < ((first.seq >> 40) + 1) << 40)`, "{}", productCond)
}

type foldStep struct {
	product, node int64
	step          int64 // number of previous steps
	sampled       int   // one in 2^sampled instances was followed before this step
	sample        int   // one in 2^sample is followed from now on
	at, newest    int64 // time of the newest report before this step, and after it
	mark, next    int64 // seqs at which the step begins and ends
	page          int   // maximum number of reports
	more          bool  // there may be further reports
	reports       []rollup.Report
	rollups       []storedRollup
	known         savedLives // from the previous step, plus the instances that report
	left          savedLives // for the next step
	*rollup.Fold
}

type storedRollup struct {
	rollup.Slot
	reports, ids int64
	sketch       []byte
}

// runStep folds the next reports of a node, and reports whether there may be more. To keep
// its transaction short, it reads and computes before it; the transaction fails if another
// process has made a step meanwhile.
func (s *Store) runStep(ctx context.Context, product, node int64, page int) (n int64, more bool, err error) {
	conflict := func(err error) bool { return errors.Is(err, errFoldedElsewhere) }
	err = retry(ctx, conflict, func() error {
		f := foldStep{product: product, node: node, page: page}
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

func (s *Store) prepareStep(ctx context.Context, f *foldStep) error {
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
	for _, r := range f.reports { // times in the future come from a wrong clock
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

// readStep reads the reports of a step and sets its end. In SQLite, where products share
// the log, the end may be after reports of other products.
func (s *Store) readStep(ctx context.Context, f *foldStep) error {
	key, err := s.idKey(ctx)
	if err != nil {
		return err
	}
	end, err := queryValue[int64](ctx, s.read, "SELECT COALESCE(MAX(seq), 0) FROM report WHERE "+s.productCond+" seq < $2", f.product, (f.node+1)<<nodeBits)
	if err != nil {
		return err
	}
	rows, err := s.read.QueryContext(ctx, `SELECT seq, at, build, instance, heap, first FROM report
		WHERE product = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`, f.product, max(f.mark, s.folded.foldedSeq(f.product)), end, f.page)
	if err != nil {
		return err
	}
	defer rows.Close()
	var id sql.RawBytes
	for rows.Next() {
		var seq int64
		var r rollup.Report
		var heap sql.NullInt64
		var first sql.NullBool
		if err := rows.Scan(&seq, &r.At, &r.Build, &id, &heap, &first); err != nil {
			return err
		}
		instance := uuid.UUID(id)
		if heap.Valid && (instance != uuid.Nil || first.Bool) {
			r.Heap = &heap.Int64
		}
		r.Remembers = first.Valid
		if len(f.reports) > 0 && max(r.At-f.reports[0].At, f.reports[0].At-r.At) > foldSpan {
			f.more = true
			break
		}
		if instance == uuid.Nil { // counts as an instance of its own for the heap of its day
			binary.BigEndian.PutUint64(instance[:], uint64(seq))
		}
		r.Hash = key.Hash(instance)
		f.next, f.reports = seq, append(f.reports, r)
	}
	n := len(f.reports)
	f.more = f.more || n == f.page
	if 0 < n && !f.more {
		f.next = end
	}
	return rows.Err()
}

// merge merges the rollups of the step with the stored ones and encodes the results, before
// the transaction so that writers need not wait for it.
func (s *Store) merge(ctx context.Context, f *foldStep) error {
	rollups, before := maps.Clone(f.Days()), map[rollup.Slot]rollup.Heaps{}
	err := s.mergeStored(ctx, f.product, rollups, func(slot rollup.Slot, stored *rollup.Rollup) {
		if f.isLate(slot.In(rollup.OneWeek)) {
			before[slot] = stored.Heaps()
		}
	})
	if err != nil {
		return err
	}
	late := f.lateParts(rollups, before)
	if err := s.mergeStored(ctx, f.product, late, func(rollup.Slot, *rollup.Rollup) {}); err != nil {
		return err
	}
	for _, span := range rollup.Spans[1:] {
		if err := s.addLonger(ctx, f, span, rollups); err != nil {
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

// lateParts returns what the step adds to the rollups of weeks and four-week periods that
// were over before it. Unfinished periods have no rollup, because rewriting it with each
// step would cost twice as much as the rollups of days. days has the rollups of days
// including the step, and before has their heaps without it.
func (f *foldStep) lateParts(days map[rollup.Slot]*rollup.Rollup, before map[rollup.Slot]rollup.Heaps) map[rollup.Slot]*rollup.Rollup {
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

func (f *foldStep) isLate(slot rollup.Slot) bool { return slot.Ended(dayOf(f.at)) }

// addLonger adds rollups of the longer periods that are over since this step: the sums of
// their days, stored or new.
func (s *Store) addLonger(ctx context.Context, f *foldStep, span rollup.Span, rollups map[rollup.Slot]*rollup.Rollup) error {
	open := span.Start(dayOf(f.at)) // start of the first period that was not over
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
			return sketchError(slot, err)
		}
		rollup.AddPart(sums, slot.In(span), day)
		return nil
	}, "product = $1 AND span = $2 AND day >= $3 AND day < $4", f.product, rollup.OneDay, open, end)
	maps.Copy(rollups, sums)
	return err
}

// dayOf returns the day of a time in seconds since 1970.
func dayOf(seconds int64) rollup.Day { return rollup.DayOf(time.Unix(seconds, 0)) }

// mergeStored merges rollups with the stored ones. It calls before with each stored one
// first.
func (s *Store) mergeStored(ctx context.Context, product int64, rollups map[rollup.Slot]*rollup.Rollup, before func(rollup.Slot, *rollup.Rollup)) error {
	builds := map[rollup.Period][]int64{}
	for slot := range rollups {
		builds[slot.Period] = append(builds[slot.Period], slot.Build)
	}
	for period, ids := range builds {
		in, list := s.inList("$4", ids)
		err := eachSketch(ctx, s.read, func(slot rollup.Slot, data []byte) error {
			stored := new(rollup.Rollup)
			if err := stored.UnmarshalBinary(data); err != nil {
				return sketchError(slot, err)
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

// eachSketch calls f with each encoded rollup that matches a condition. The bytes are
// valid until f returns.
func eachSketch(ctx context.Context, q querier, f func(rollup.Slot, []byte) error, where string, args ...any) error {
	var slot rollup.Slot
	var data sql.RawBytes
	return eachRow(ctx, q, func(rows *sql.Rows) error {
		if err := rows.Scan(&slot.Span, &slot.Day, &slot.Build, &data); err != nil {
			return err
		}
		return f(slot, data)
	}, "SELECT span, day, build, data FROM sketch WHERE "+where, args...)
}

// idKey returns the key of the hashes of instance IDs.
func (s *Store) idKey(ctx context.Context) (k rollup.Key, err error) {
	secret, err := queryValue[[]byte](ctx, s.read, "SELECT value FROM secret WHERE name = 'ids'")
	if err == nil && copy(k[:], secret) != len(k) {
		err = fmt.Errorf("the store's key for instance IDs has %d bytes instead of %d", len(secret), len(k))
	}
	return k, err
}
