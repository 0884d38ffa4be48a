package db

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"relcheck/checker/stats/rollup"
)

// readTimeout limits reading totals, during which a SQLite WAL cannot be reset.
var readTimeout = 10 * time.Second

// Totals reads the totals of a product in a range of days, including all sites. keep
// selects the builds. Its cost depends on the number of days and builds, not of reports, and
// is limited to ten seconds. The error wraps [ErrNotFound] if the product does not exist.
func (s *Store) Totals(ctx context.Context, product string, r rollup.Range, keep func(rollup.Build) bool) (*rollup.Totals, error) {
	return s.TotalsAt(ctx, product, "", r, keep)
}

// TotalsAt is like [Store.Totals], but reads the totals of one site, of only the store itself
// for [rollup.LocalSite], or of all if site is empty. The error wraps [ErrNotFound] if the
// site does not exist.
func (s *Store) TotalsAt(ctx context.Context, product, site string, r rollup.Range, keep func(rollup.Build) bool) (*rollup.Totals, error) {
	read := totalsReader{engine: s.engine, totals: &rollup.Totals{Range: r}, builds: map[int64]*rollup.BuildTotals{}, merged: make(chan error, 1)}
	s.readMu.RLock()
	defer s.readMu.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err := s.inSnapshot(ctx, func(tx *sql.Tx) (err error) {
		if read.product, err = productID(ctx, tx, product); err != nil {
			return err
		}
		read.tx = tx
		return read.withSites(ctx, site, keep)
	})
	if err == nil {
		err = <-read.merged
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("read statistics: %w", ctx.Err())
	}
	if err != nil { // merge may still be running, and use read.totals
		return nil, err
	}
	read.addSites()
	for _, id := range read.ids {
		read.totals.Builds = append(read.totals.Builds, *read.builds[id])
	}
	return read.totals, nil
}

type totalsReader struct {
	tx *sql.Tx
	engine
	product  int64
	totals   *rollup.Totals
	ids      []int64                       // of the kept builds
	builds   map[int64]*rollup.BuildTotals // by ID
	sites    siteCells                     // of the kept builds
	merged   chan error                    // result of merge
	foldedTo rollup.Day                    // day of the newest folded report: periods that ended before it have rollups
}

func (r *totalsReader) all(ctx context.Context, keep func(rollup.Build) bool) error {
	if err := r.readKnown(ctx); err != nil {
		return err
	}
	if err := r.readBuilds(ctx, keep); err != nil || len(r.ids) == 0 {
		r.merged <- err
		return err
	}
	sketches, err := r.readSketches(ctx)
	if err != nil {
		return err
	}
	merger := rollup.NewMerger(r.totals.Range, r.foldedTo)
	open, err := r.countOpen(merger, sketches)
	if err != nil {
		return err
	}
	go r.merge(ctx, merger, sketches) // takes as long as what follows
	for _, span := range rollup.Spans {
		if err := r.readCounts(ctx, span); err != nil {
			return err
		}
	}
	if err := r.readInstallations(ctx); err != nil {
		return err
	}
	for _, c := range open {
		counts := r.builds[c.Build].Counts(c.Span)
		*counts = append(*counts, c.Count)
	}
	return r.readChecks(ctx)
}

// readKnown reads the first and last day with data.
func (r *totalsReader) readKnown(ctx context.Context) error {
	var from, to, at, first, last sql.NullInt64
	err := r.tx.QueryRowContext(ctx, `SELECT MIN(day), MAX(day), (SELECT at FROM fold WHERE product = $1),
			(SELECT MIN(day) FROM installation_count WHERE product = $1), (SELECT MAX(day) FROM installation_count WHERE product = $1)
		FROM (SELECT MIN(day) AS day FROM rollup WHERE product = $1 AND span = 1
			UNION ALL SELECT MAX(day) FROM rollup WHERE product = $1 AND span = 1
			UNION ALL SELECT MIN(day) FROM checks WHERE product = $1
			UNION ALL SELECT MAX(day) FROM checks WHERE product = $1) AS days`, r.product).Scan(&from, &to, &at, &first, &last)
	extend(&r.totals.Known, from, to)
	extend(&r.totals.Known, first, last) // may be newer than the newest folded report
	extend(&r.totals.Remembered, first, last)
	if at.Int64 > 0 {
		r.totals.AsOf = time.Unix(at.Int64, 0).UTC()
		r.foldedTo = rollup.DayOf(r.totals.AsOf)
	}
	return err
}

// readBuilds reads the builds with data in the range or the one before it. Of an old
// product, most builds may have data in other years only.
func (r *totalsReader) readBuilds(ctx context.Context, keep func(rollup.Build) bool) error {
	days := rollup.Range{From: min(r.totals.Range.Previous().From, r.totals.Range.Last(28).Previous().From), To: r.totals.Range.To}
	return eachRow(ctx, r.tx, func(rows *sql.Rows) error {
		id, b, err := scanBuild(rows)
		if err != nil {
			return err
		}
		r.totals.Seen = append(r.totals.Seen, b)
		if keep(b) {
			r.builds[id] = &rollup.BuildTotals{Build: b}
			r.ids = append(r.ids, id)
		}
		return nil
	}, `SELECT id, version, os, arch FROM build WHERE product = $1 AND id IN (
			SELECT build FROM rollup WHERE product = $1 AND span = 28 AND day BETWEEN $2 AND $4
			UNION SELECT build FROM rollup WHERE product = $1 AND span = 7 AND day BETWEEN $5 AND $4
			UNION SELECT build FROM rollup WHERE product = $1 AND span = 1 AND day BETWEEN $6 AND $4
			UNION SELECT build FROM checks WHERE product = $1 AND day BETWEEN $3 AND $4
			UNION SELECT build FROM installation_count WHERE product = $1 AND day BETWEEN $7 AND $4)
		ORDER BY id`, r.product, rollup.FourWeeks.Start(days.From), days.From, days.To,
		rollup.FourWeeks.Start(r.foldedTo), rollup.OneWeek.Start(r.foldedTo), // later periods have shorter rollups only
		r.foldedTo) // on earlier days, the reports of installations are in rollups
}

// periods returns the periods of a span whose rollups are read, or the periods of the range
// that have none.
func (r *totalsReader) periods(span rollup.Span, rolled bool) []rollup.Period {
	days := r.totals.Range
	if rolled {
		days = days.WithFinished(span)
	}
	return slices.DeleteFunc(days.Periods(span), func(p rollup.Period) bool {
		return (p.Span == rollup.OneDay || p.Ended(r.foldedTo)) != rolled || p.Day > r.totals.Known.To
	})
}

type openCount struct {
	rollup.Slot
	rollup.Count
}

// countOpen counts the weeks and four-week periods of the range that are not over at the
// newest folded report.
func (r *totalsReader) countOpen(merger *rollup.Merger, sketches map[int64][]rollup.Encoded) (all []openCount, err error) {
	for _, span := range rollup.Spans[1:] {
		for _, p := range r.periods(span, false) {
			for build, rollups := range sketches {
				c, err := merger.CountPeriod(p, rollups)
				if err != nil {
					return nil, fmt.Errorf("build %d: %w", build, err)
				}
				if c.Reports > 0 {
					all = append(all, openCount{rollup.Slot{Period: p, Build: build}, c})
				}
			}
		}
	}
	return all, nil
}

func (r *totalsReader) readCounts(ctx context.Context, span rollup.Span) error {
	periods := r.periods(span, true)
	if len(periods) == 0 {
		return nil
	}
	var id int64
	var c rollup.Count
	return eachRow(ctx, r.tx, func(rows *sql.Rows) error {
		err := rows.Scan(&id, &c.Day, &c.Reports, &c.Instances, &c.Started, &c.Repeated)
		if b := r.builds[id]; b != nil && err == nil {
			counts := b.Counts(span)
			*counts = append(*counts, c)
		}
		return err
	}, `SELECT build, day, reports, ids, started, again FROM rollup
		WHERE product = $1 AND span = $2 AND day BETWEEN $3 AND $4 ORDER BY day`, r.product, span, periods[0].Day, periods[len(periods)-1].Day)
}

// readInstallations adds up the installations of all nodes. Of a product that has none, it
// reads nothing.
func (r *totalsReader) readInstallations(ctx context.Context) error {
	days := r.totals.Range.WithInstallations()
	if days.To < r.totals.Remembered.From || days.From > r.totals.Remembered.To || r.totals.Remembered.Days() == 0 {
		return nil
	}
	var id int64
	var n rollup.DayInstallations
	return eachRow(ctx, r.tx, func(rows *sql.Rows) error {
		err := rows.Scan(&id, &n.Day, &n.Daily, &n.Weekly, &n.Monthly, &n.New, &n.Back7, &n.Back28)
		if b := r.builds[id]; b != nil && err == nil {
			if last := len(b.Installations) - 1; last >= 0 && b.Installations[last].Day == n.Day {
				b.Installations[last].Add(n.Installations)
			} else {
				b.Installations = append(b.Installations, n)
			}
		}
		return err
	}, `SELECT build, day, daily, weekly, monthly, new, back7, back28 FROM installation_count
		WHERE product = $1 AND day BETWEEN $2 AND $3 ORDER BY day, build`, r.product, days.From, days.To)
}

func (r *totalsReader) readChecks(ctx context.Context) error {
	var id, count int64
	var day rollup.Day
	return eachRow(ctx, r.tx, func(rows *sql.Rows) error {
		err := rows.Scan(&id, &day, &count)
		if b := r.builds[id]; b != nil && err == nil {
			b.AddChecks(day, count)
		}
		return err
	}, "SELECT build, day, count FROM checks WHERE product = $1 AND day BETWEEN $2 AND $3 ORDER BY day", r.product, r.totals.Range.From, r.totals.Range.To)
}

// readSketches reads the encoded rollups that are needed for the range and its periods, by
// build.
func (r *totalsReader) readSketches(ctx context.Context) (map[int64][]rollup.Encoded, error) {
	days := map[rollup.Span][]int64{}
	for _, p := range rollup.NeededPeriods(r.totals.Range, r.totals.Known, r.foldedTo) {
		days[p.Span] = append(days[p.Span], int64(p.Day))
	}
	all := make(map[int64][]rollup.Encoded, len(r.builds))
	for span, list := range days {
		in, list := r.inList("$3", list)
		err := eachSketch(ctx, r.tx, func(slot rollup.Slot, data []byte) error {
			if r.builds[slot.Build] != nil {
				all[slot.Build] = append(all[slot.Build], rollup.Encoded{Period: slot.Period, Data: bytes.Clone(data)})
			}
			return nil
		}, "product = $1 AND span = $2 AND day "+in, r.product, span, list)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// merge merges the rollups of each build. It recovers from panics because it runs in a
// goroutine of its own.
func (r *totalsReader) merge(ctx context.Context, merger *rollup.Merger, all map[int64][]rollup.Encoded) {
	var err error
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("merge rollups: %v\n%s", p, debug.Stack())
		}
		r.merged <- err
	}()
	for id, b := range r.builds {
		if err = merger.MergeInto(b, all[id]); err != nil {
			err = fmt.Errorf("build %d: %w", id, err)
			return
		}
		if err = ctx.Err(); err != nil {
			return
		}
	}
}

func sketchError(slot rollup.Slot, err error) error {
	return fmt.Errorf("rollup of build %d from %s: %w", slot.Build, slot.Day, err)
}
