package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"

	"relcheck/checker/stats/rollup"
)

const (
	// waitsLong is after how long reports should have been folded.
	waitsLong = time.Minute
	// expiresLate is how much later than they could reports may be removed: that is
	// done once an hour, and not in the first one.
	expiresLate = 3 * time.Hour
	// nobody is the sample by which a fold follows no id's life.
	nobody = 62
)

// checking compares the statistics with the log that they are a fold of.
type checking struct {
	x        *examining
	key      rollup.Key
	folded   map[nodeOf]int64      // how far, when the log was begun to be read
	products map[int64]*recomputed // by id
	names    map[int64]string
	done     int64
	total    int64

	waiting  int64 // reports that should have been folded
	since    int64 // when the first of them came in
	oldest   int64 // when the first report came in that is folded; 0 if there is none
	future   int64 // when the last report came in, if its time is not yet
	unknown  int64 // reports of builds that are not there
	mistakes []string
	wrong    int
	compared int64
}

// recomputed is what the log says of a product.
type recomputed struct {
	*rollup.Fold
	builds map[int64]string
}

// statistics reads the log in short pieces, so that a server beside it is not kept
// from shortening its own, and then what has been folded meanwhile together with
// the rollups as of one moment.
func (x *examining) statistics(ctx context.Context) {
	c := checking{x: x, products: map[int64]*recomputed{}, names: map[int64]string{}}
	err := c.begin(ctx)
	if err == nil {
		err = c.readLog(ctx)
	}
	if err == nil {
		err = x.inSnapshot(ctx, func(tx *sql.Tx) error { return c.compare(ctx, tx) })
	}
	if err != nil {
		x.tell(Problem, "statistics", "cannot be compared with the log: %v", err)
		return
	}
	c.tell()
}

func (c *checking) begin(ctx context.Context) error {
	var err error
	if c.folded, err = marks(ctx, c.x.read); err != nil {
		return err
	}
	all, err := productNames(ctx, c.x.read)
	if err != nil {
		return err
	}
	for _, p := range all {
		builds, err := buildNames(ctx, c.x.read, p.id)
		if err != nil {
			return err
		}
		c.names[p.id] = p.Name
		c.products[p.id] = &recomputed{Fold: rollup.NewFold(nobody, nil), builds: builds}
	}
	if c.key, err = c.x.idKey(ctx); err != nil {
		return err
	}
	return c.x.read.QueryRowContext(ctx, "SELECT count(*) FROM report").Scan(&c.total)
}

func buildNames(ctx context.Context, q querier, product int64) (map[int64]string, error) {
	names := map[int64]string{}
	_, err := query(ctx, q, func(rows *sql.Rows) (none struct{}, err error) {
		var id int64
		var version, os, arch string
		err = rows.Scan(&id, &version, &os, &arch)
		names[id] = version + " " + os + "/" + arch
		return none, err
	}, "SELECT id, version, os, arch FROM build WHERE product = $1", product)
	return names, err
}

// nodeOf is the part of a product in a node's log.
type nodeOf struct{ product, node int64 }

// marks returns how far each node's log is folded.
func marks(ctx context.Context, q querier) (map[nodeOf]int64, error) {
	all := map[nodeOf]int64{}
	_, err := query(ctx, q, func(rows *sql.Rows) (none struct{}, err error) {
		var n nodeOf
		var seq int64
		err = rows.Scan(&n.product, &n.node, &seq)
		all[n] = seq
		return none, err
	}, "SELECT product, node, seq FROM mark")
	return all, err
}

// logged is a report as it stands in the log.
type logged struct {
	product, seq int64
	rollup.Report
}

// eachLogged calls f with the reports for which a condition holds, in the order of seq.
func (c *checking) eachLogged(ctx context.Context, q querier, f func(logged), where string, args ...any) error {
	rows, err := q.QueryContext(ctx, "SELECT product, seq, at, build, instance, heap FROM report WHERE "+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var id sql.RawBytes
	for rows.Next() {
		var l logged
		var heap sql.NullInt64
		if err := rows.Scan(&l.product, &l.seq, &l.At, &l.Build, &id, &heap); err != nil {
			return err
		}
		if len(id) != len(uuid.UUID{}) {
			return fmt.Errorf("report %d has an id of %d bytes", l.seq, len(id))
		}
		if heap.Valid {
			l.Heap = &heap.Int64
		}
		l.Hash = c.key.Hash(uuid.UUID(id))
		f(l)
	}
	return rows.Err()
}

// readLog goes through the whole log, page by page.
func (c *checking) readLog(ctx context.Context) error {
	first := true
	for product := range c.products {
		if !first && !c.x.byProduct() {
			break
		}
		first = false
		for after, n := int64(0), logPage; n == logPage; {
			n = 0
			err := c.eachLogged(ctx, c.x.read, func(l logged) {
				n++
				after = l.seq
				c.note(l)
			}, c.x.ofProduct()+" seq > $2 ORDER BY seq LIMIT $3", product, after, logPage)
			if err != nil {
				return err
			}
			c.done += int64(n)
			if n > 0 {
				c.x.Progress(c.done, max(c.done, c.total))
			}
		}
	}
	return nil
}

// note takes a report down: with those that were folded, or as one that waits.
func (c *checking) note(l logged) {
	p, now := c.products[l.product], c.x.Now.Unix()
	if p == nil { // of a product that is being removed
		return
	}
	if l.At > now+int64(ahead/time.Second) {
		c.future = max(c.future, l.At)
	}
	if p.builds[l.Build] == "" && l.seq <= c.folded[nodeOf{l.product, l.seq >> nodeBits}] {
		c.unknown++
	}
	if l.seq > c.folded[nodeOf{l.product, l.seq >> nodeBits}] {
		if l.At <= now { // and did not come in while the log is read
			if c.waiting == 0 || l.At < c.since {
				c.since = l.At
			}
			c.waiting++
		}
		return
	}
	if c.oldest == 0 || l.At < c.oldest {
		c.oldest = l.At
	}
	p.Add(l.Report)
}

// compare adds what was folded since the log was read, and compares.
func (c *checking) compare(ctx context.Context, tx *sql.Tx) error {
	now, err := marks(ctx, tx)
	if err != nil {
		return err
	}
	for n, seq := range now {
		before := max(c.folded[n], n.node<<nodeBits)
		p := c.products[n.product]
		if seq <= before || p == nil {
			continue
		}
		err := c.eachLogged(ctx, tx, func(l logged) { p.Add(l.Report) }, "product = $1 AND seq > $2 AND seq <= $3", n.product, before, seq)
		if err != nil {
			return err
		}
	}
	left, err := productNames(ctx, tx)
	for _, p := range left {
		if r := c.products[p.id]; r != nil && err == nil {
			err = c.compareProduct(ctx, tx, p.id, r)
		}
	}
	return err
}

// wholeFrom is the first day of which the log has all reports.
func wholeFrom(ctx context.Context, q querier) (rollup.Day, error) {
	before, err := setting(ctx, q, "expired")
	if errors.Is(err, sql.ErrNoRows) { // as long as it is of the first schema
		before, err = setting(ctx, q, "swept")
	}
	return dayOf(before + 24*60*60 - 1), err
}

func (c *checking) compareProduct(ctx context.Context, tx *sql.Tx, id int64, p *recomputed) error {
	whole, err := wholeFrom(ctx, tx)
	if err != nil {
		return err
	}
	var at int64
	err = tx.QueryRowContext(ctx, "SELECT at FROM fold WHERE product = $1", id).Scan(&at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	open := func(slot rollup.Slot) bool { return slot.Span != rollup.OneDay && !slot.Ended(dayOf(at)) }
	should, sums := p.Rollups(), map[rollup.Slot]int64{}
	maps.DeleteFunc(should, func(slot rollup.Slot, _ *rollup.Rollup) bool { return open(slot) })
	err = eachRollup(ctx, tx, id, func(slot rollup.Slot, count rollup.Count, data []byte) {
		if open(slot) { // an earlier relcheck has written it; it is not read
			return
		}
		if slot.Span == rollup.OneDay {
			for _, span := range rollup.Spans[1:] {
				sums[slot.In(span)] += count.Reports
			}
		}
		got, problem := decoded(count, data)
		if problem == "" && slot.Day >= whole {
			problem = differs(got, should[slot])
		}
		if problem != "" {
			c.mistake(id, p, slot, problem)
		}
		sums[slot] -= count.Reports
		if slot.Day >= whole {
			c.compared++
			delete(should, slot)
		}
	})
	for slot, r := range should {
		if slot.Day >= whole {
			c.mistake(id, p, slot, fmt.Sprintf("is missing; the log has %d reports", r.Reports))
		}
	}
	for slot, n := range sums {
		if slot.Span != rollup.OneDay && n != 0 && !open(slot) {
			c.mistake(id, p, slot, fmt.Sprintf("has not as many reports as its days: %+d", -n))
		}
	}
	return err
}

// eachRollup calls f with all that is stored of each rollup. The data is nil where
// there is none, and good only until f returns.
func eachRollup(ctx context.Context, q querier, product int64, f func(rollup.Slot, rollup.Count, []byte)) error {
	rows, err := q.QueryContext(ctx, `SELECT rollup.span, rollup.day, rollup.build, rollup.reports, rollup.ids, sketch.data
		FROM rollup LEFT JOIN sketch ON sketch.product = rollup.product AND sketch.span = rollup.span
			AND sketch.day = rollup.day AND sketch.build = rollup.build
		WHERE rollup.product = $1`, product)
	if err != nil {
		return err
	}
	defer rows.Close()
	var data sql.RawBytes
	for rows.Next() {
		var slot rollup.Slot
		var count rollup.Count
		if err := rows.Scan(&slot.Span, &slot.Day, &slot.Build, &count.Reports, &count.Instances, &data); err != nil {
			return err
		}
		f(slot, count, data)
	}
	return rows.Err()
}

// decoded reads a sketch, and says what is wrong with it and the counts beside it.
// A rollup of no reports has none: it counts starts only.
func decoded(count rollup.Count, data []byte) (r *rollup.Rollup, problem string) {
	r = new(rollup.Rollup)
	if len(data) == 0 && count.Reports == 0 {
		return r, ""
	}
	if data == nil {
		return r, "has no sketch"
	}
	if err := r.UnmarshalBinary(data); err != nil {
		return r, "has a sketch that cannot be read: " + err.Error()
	}
	if r.Reports != count.Reports || r.Instances() != count.Instances {
		return r, fmt.Sprintf("counts %d reports of %d ids, and its sketch %d of %d", count.Reports, count.Instances, r.Reports, r.Instances())
	}
	return r, ""
}

// differs says how a rollup differs from what it should be; nil is none.
func differs(got, want *rollup.Rollup) string {
	if want == nil {
		want = new(rollup.Rollup)
	}
	if got.Reports != want.Reports {
		return fmt.Sprintf("has %d reports, and the log %d", got.Reports, want.Reports)
	}
	if a, b := got.Instances(), want.Instances(); !alikeIDs(a, b) {
		return fmt.Sprintf("has %d ids, and the log %d", a, b)
	}
	if !got.Approximate() && !got.Heaps().Equal(want.Heaps()) {
		return "has other heaps than the log"
	}
	return ""
}

// alikeIDs tells whether two counts of the same ids can come of them. Few are
// counted exactly. Of many, the count depends somewhat on the order in which they
// were summed up.
func alikeIDs(a, b int64) bool {
	const exact, errors = 4096, 6
	if max(a, b) <= exact {
		return a == b
	}
	return float64(max(a, b)-min(a, b)) <= errors*rollup.InstancesError*float64(max(a, b))
}

func (c *checking) mistake(product int64, p *recomputed, slot rollup.Slot, text string) {
	const shown = 3
	if c.wrong++; c.wrong > shown {
		return
	}
	span := map[rollup.Span]string{rollup.OneDay: "day", rollup.OneWeek: "week", rollup.FourWeeks: "four weeks"}[slot.Span]
	c.mistakes = append(c.mistakes, fmt.Sprintf("%s %s, %s from %s: it %s", c.names[product], p.builds[slot.Build], span, slot.Day, text))
}
