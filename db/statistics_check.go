package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"relcheck/checker/stats/rollup"
)

// StatisticsCheck is the result of comparing the statistics with the log.
type StatisticsCheck struct {
	Compared   int64    // number of days of builds that were compared with the log
	Mismatches int      // rollups and counts of installations that differ from the log, rollups that differ from their days or sketches, and impossible counts of installations and sites
	Examples   []string // describes some of them

	UnknownBuilds int64     // folded reports of builds that do not exist
	Unfolded      int64     // reports that are not folded yet
	UnfoldedSince time.Time // when the first of them was recorded
	Oldest        time.Time // time of the oldest folded report, or zero
	Newest        time.Time // time of the newest report
}

// CheckStatistics counts the reports in the log by build and day and compares the result
// with the rollups of the days that the log has completely. It also compares rollups of
// weeks with their days, all rollups with their sketches, and the counts of installations
// with the log and the rollups. It finds counts of installations and sites that are impossible.
// It reads the log in short transactions, because a long one would keep SQLite from resetting
// the WAL; what is folded meanwhile is read again in the transaction that reads the rollups.
func (s *Store) CheckStatistics(ctx context.Context, now time.Time, progress func(done, total int64)) (*StatisticsCheck, error) {
	c := statisticsCheck{store: s, now: now.Unix(), logged: map[productSlot]int64{}, installations: map[productSlot]int64{}, unfolded: map[productSlot]int64{}}
	var total int64
	_, err := s.idKey(ctx) // without the key, folding fails
	if err == nil {
		c.schema, err = setting(ctx, s.read, "schema")
	}
	if err == nil {
		c.folded, err = readMarks(ctx, s.read)
	}
	if err == nil {
		c.builds, err = buildNames(ctx, s.read)
	}
	if err == nil {
		total, err = queryValue[int64](ctx, s.read, "SELECT count(*) FROM report")
	}
	if err == nil {
		err = c.readLog(ctx, func(done int64) { progress(done, max(done, total)) })
	}
	if err == nil {
		err = s.inSnapshot(ctx, func(tx *sql.Tx) error { return c.compare(ctx, tx) })
	}
	return &c.StatisticsCheck, err
}

type statisticsCheck struct {
	StatisticsCheck
	store  *Store
	now    int64
	folded map[productNode]int64 // marks before the log is read
	builds map[productBuild]string
	logged map[productSlot]int64 // folded reports by build and day
	schema int64

	installations map[productSlot]int64 // first reports of their day, by build and day
	unfolded      map[productSlot]int64 // reports that were not folded when the log was read
}

type (
	productNode  struct{ product, node int64 }
	productBuild struct{ product, build int64 }
	productSlot  struct {
		product int64
		rollup.Slot
	}
)

func buildNames(ctx context.Context, q querier) (map[productBuild]string, error) {
	return queryMap(ctx, q, func(rows *sql.Rows) (b productBuild, name string, err error) {
		var product, version, os, arch string
		err = rows.Scan(&b.product, &b.build, &product, &version, &os, &arch)
		return b, product + " " + version + " " + os + "/" + arch, err
	}, "SELECT build.product, build.id, product.name, build.version, build.os, build.arch FROM build JOIN product ON product.id = build.product WHERE product.name IS NOT NULL")
}

// readMarks returns how far each node's reports of each product are folded. Products that
// are being removed are left out.
func readMarks(ctx context.Context, q querier) (map[productNode]int64, error) {
	return queryMap(ctx, q, func(rows *sql.Rows) (n productNode, seq int64, err error) {
		err = rows.Scan(&n.product, &n.node, &seq)
		return n, seq, err
	}, "SELECT mark.product, mark.node, mark.seq FROM mark JOIN product ON product.id = mark.product WHERE product.name IS NOT NULL")
}

type logEntry struct {
	product, seq, at, build int64
	first                   bool // see report.first
}

func (e *logEntry) slot() productSlot {
	return productSlot{e.product, rollup.Slot{Period: rollup.Period{Span: rollup.OneDay, Day: dayOf(e.at)}, Build: e.build}}
}

func (c *statisticsCheck) readLogEntries(ctx context.Context, q querier, where string, args ...any) ([]logEntry, error) {
	first := "COALESCE(first, false)"
	if c.schema < installationSchema {
		first = "false"
	}
	return query(ctx, q, func(rows *sql.Rows) (e logEntry, err error) {
		err = rows.Scan(&e.product, &e.seq, &e.at, &e.build, &e.first)
		return e, err
	}, "SELECT product, seq, at, build, "+first+" FROM report WHERE "+where, args...)
}

// readLog reads the log of each product, or all of it at once where products share it.
func (c *statisticsCheck) readLog(ctx context.Context, progress func(done int64)) error {
	products, err := productNames(ctx, c.store.read)
	if err == nil && len(products) > 1 && !c.store.logByProduct {
		products = products[:1]
	}
	done := int64(0)
	for _, p := range products {
		for after, n := int64(0), logPage; n == logPage && err == nil; {
			var page []logEntry
			page, err = c.readLogEntries(ctx, c.store.read, c.store.productCond+" seq > $2 ORDER BY seq LIMIT $3", p.id, after, logPage)
			for _, e := range page {
				c.count(e)
				after = e.seq
			}
			if n = len(page); n > 0 {
				done += int64(n)
				progress(done)
			}
		}
	}
	return err
}

func (c *statisticsCheck) count(e logEntry) {
	if e.first {
		c.installations[e.slot()]++
	}
	mark, hasMark := c.folded[productNode{e.product, e.seq >> nodeBits}]
	at := time.Unix(e.at, 0).UTC()
	if at.After(c.Newest) {
		c.Newest = at
	}
	switch {
	case hasMark && e.seq <= mark:
		if c.Oldest.IsZero() || at.Before(c.Oldest) {
			c.Oldest = at
		}
		c.countFolded(e)
		if c.builds[productBuild{e.product, e.build}] == "" {
			c.UnknownBuilds++
		}
	case e.at <= c.now: // not recorded while the log is read
		if c.Unfolded == 0 || at.Before(c.UnfoldedSince) {
			c.UnfoldedSince = at
		}
		c.Unfolded++
		c.unfolded[e.slot()]++
	}
}

func (c *statisticsCheck) countFolded(e logEntry) { c.logged[e.slot()]++ }

// compare counts the reports that were folded since the log was read, and compares all
// counts with the rollups.
func (c *statisticsCheck) compare(ctx context.Context, tx *sql.Tx) error {
	marks, err := readMarks(ctx, tx)
	if err != nil {
		return err
	}
	for n, seq := range marks {
		before := max(c.folded[n], n.node<<nodeBits)
		if seq <= before {
			continue
		}
		entries, err := c.readLogEntries(ctx, tx, "product = $1 AND seq > $2 AND seq <= $3", n.product, before, seq)
		if err != nil {
			return err
		}
		for _, e := range entries {
			c.countFolded(e)
		}
	}
	products, err := productNames(ctx, tx)
	for _, p := range products {
		if err == nil {
			err = c.compareProduct(ctx, tx, p.id)
		}
		if err == nil && c.schema >= installationSchema {
			err = c.compareInstallations(ctx, tx, p.id)
		}
		if err == nil && c.schema >= installationSchema {
			err = c.checkSites(ctx, tx, p.id)
		}
	}
	return err
}

// firstCompleteDay returns the first day whose reports are all in the log.
func firstCompleteDay(ctx context.Context, q querier) (rollup.Day, error) {
	before, err := setting(ctx, q, "expired")
	if errors.Is(err, sql.ErrNoRows) { // schema 1
		before, err = setting(ctx, q, "swept")
	}
	return dayOf(before + 24*60*60 - 1), err
}

func (c *statisticsCheck) compareProduct(ctx context.Context, tx *sql.Tx, product int64) error {
	first, err := firstCompleteDay(ctx, tx)
	if err != nil {
		return err
	}
	at, err := queryValue[int64](ctx, tx, "SELECT at FROM fold WHERE product = $1", product)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	open := func(slot rollup.Slot) bool { return slot.Span != rollup.OneDay && !slot.Ended(dayOf(at)) }
	surplus := map[rollup.Slot]int64{} // reports of the days of a week that its rollup does not have
	compared := map[rollup.Slot]bool{}
	err = eachRollup(ctx, tx, product, func(slot rollup.Slot, count rollup.Count, sketch []byte) {
		if open(slot) { // written by an earlier relcheck, and not read any more
			return
		}
		if text := checkSketch(count, sketch); text != "" {
			c.mismatch(product, slot, text)
		}
		if slot.Span != rollup.OneDay {
			surplus[slot] -= count.Reports
			return
		}
		for _, span := range rollup.Spans[1:] {
			if longer := slot.In(span); !open(longer) {
				surplus[longer] += count.Reports
			}
		}
		if slot.Day >= first {
			compared[slot] = true
			c.Compared++
			if n := c.logged[productSlot{product, slot}]; n != count.Reports {
				c.mismatch(product, slot, fmt.Sprintf("has %d reports, and the log %d", count.Reports, n))
			}
		}
	})
	for slot, n := range c.logged {
		if slot.product == product && slot.Day >= first && !compared[slot.Slot] {
			c.mismatch(product, slot.Slot, fmt.Sprintf("is missing; the log has %d reports", n))
		}
	}
	for slot, n := range surplus {
		if n != 0 {
			c.mismatch(product, slot, fmt.Sprintf("differs from its days by %+d reports", -n))
		}
	}
	return err
}

// eachRollup calls f with each rollup of a product and its sketch, which is nil if there is
// none and must not be retained.
func eachRollup(ctx context.Context, q querier, product int64, f func(rollup.Slot, rollup.Count, []byte)) error {
	var slot rollup.Slot
	var count rollup.Count
	var data sql.RawBytes
	return eachRow(ctx, q, func(rows *sql.Rows) error {
		err := rows.Scan(&slot.Span, &slot.Day, &slot.Build, &count.Reports, &count.Instances, &data)
		if err == nil {
			f(slot, count, data)
		}
		return err
	}, `SELECT rollup.span, rollup.day, rollup.build, rollup.reports, rollup.ids, sketch.data
		FROM rollup LEFT JOIN sketch ON sketch.product = rollup.product AND sketch.span = rollup.span
			AND sketch.day = rollup.day AND sketch.build = rollup.build
		WHERE rollup.product = $1`, product)
}

// checkSketch describes what is wrong with a sketch, or returns "". A rollup without
// reports has none: it counts starts only.
func checkSketch(count rollup.Count, sketch []byte) string {
	if len(sketch) == 0 && count.Reports == 0 {
		return ""
	}
	if sketch == nil {
		return "has no sketch"
	}
	var r rollup.Rollup
	if err := r.UnmarshalBinary(sketch); err != nil {
		return "has a sketch that cannot be read: " + err.Error()
	}
	if r.Reports != count.Reports || r.Instances() != count.Instances {
		return fmt.Sprintf("has %d reports of %d instances, and its sketch %d of %d", count.Reports, count.Instances, r.Reports, r.Instances())
	}
	return ""
}

func (c *statisticsCheck) mismatch(product int64, slot rollup.Slot, text string) {
	const maxExamples = 3
	if c.Mismatches++; c.Mismatches > maxExamples {
		return
	}
	span := map[rollup.Span]string{rollup.OneDay: "day", rollup.OneWeek: "week", rollup.FourWeeks: "four weeks"}[slot.Span]
	c.Examples = append(c.Examples, fmt.Sprintf("%s, %s from %s: it %s", c.builds[productBuild{product, slot.Build}], span, slot.Day, text))
}
