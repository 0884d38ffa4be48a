package db

import (
	"context"
	"database/sql"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// readTimeout is how long figures may be read. A SQLite file's log can only grow
// meanwhile.
var readTimeout = 10 * time.Second

// Figures reads what is known of a product in a range of days, of those builds
// that keep lets pass. It costs what the days and builds are, however many
// reports they had, and no more than ten seconds. The error wraps [ErrNotFound]
// if there is no such product.
func (s *Store) Figures(ctx context.Context, product string, r rollup.Range, keep func(rollup.Build) bool) (*rollup.Totals, error) {
	read := reading{engine: s.engine, figures: &rollup.Totals{Range: r}, builds: map[int64]*rollup.BuildTotals{}, forms: arenas.Get().(*arena), summed: make(chan error, 1)}
	s.readMu.RLock()
	defer s.readMu.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err := s.inSnapshot(ctx, func(tx *sql.Tx) (err error) {
		if read.product, err = productID(ctx, tx, product); err != nil {
			return err
		}
		read.tx = tx
		return read.all(ctx, keep)
	})
	if err == nil {
		err = <-read.summed
	}
	if err != nil && ctx.Err() != nil { // whatever it is that was cut off
		err = fmt.Errorf("read figures: %w", ctx.Err())
	}
	if err != nil { // they may be summed up still
		return nil, err
	}
	for _, id := range read.ids {
		read.figures.Builds = append(read.figures.Builds, *read.builds[id])
	}
	return read.figures, nil
}

// reading is one reading of figures on its way.
type reading struct {
	tx *sql.Tx
	engine
	product int64
	figures *rollup.Totals
	ids     []int64                       // of the builds that are kept
	builds  map[int64]*rollup.BuildTotals // by id
	forms   *arena                        // of the rollups that are summed up
	summed  chan error                    // what summing up came to
	on      rollup.Day                    // until which reports are folded: periods that are over have longer rollups
}

func (r *reading) all(ctx context.Context, keep func(rollup.Build) bool) error {
	if err := r.readKnown(ctx); err != nil {
		return err
	}
	if err := r.readBuilds(ctx, keep); err != nil || len(r.ids) == 0 {
		r.summed <- err
		return err
	}
	sketches, err := r.readSketches(ctx)
	if err != nil {
		return err
	}
	sums := rollup.NewMerger(r.figures.Range, r.on)
	open, err := r.countOpen(sums, sketches)
	if err != nil {
		return err
	}
	go r.sum(ctx, sums, sketches) // takes as long as what follows
	for _, span := range rollup.Spans {
		if err := r.readCounts(ctx, span); err != nil {
			return err
		}
	}
	for _, c := range open {
		counts := r.builds[c.Build].Counts(c.Span)
		*counts = append(*counts, c.Count)
	}
	return r.readChecks(ctx)
}

// readKnown reads of which days anything is known.
func (r *reading) readKnown(ctx context.Context) error {
	var from, to, at sql.NullInt64
	err := r.tx.QueryRowContext(ctx, `SELECT MIN(day), MAX(day), (SELECT at FROM fold WHERE product = $1)
		FROM (SELECT MIN(day) AS day FROM rollup WHERE product = $1 AND span = 1
			UNION ALL SELECT MAX(day) FROM rollup WHERE product = $1 AND span = 1
			UNION ALL SELECT MIN(day) FROM checks WHERE product = $1
			UNION ALL SELECT MAX(day) FROM checks WHERE product = $1) AS days`, r.product).Scan(&from, &to, &at)
	r.figures.Known = rollup.Range{From: 0, To: -1}
	if from.Valid {
		r.figures.Known = rollup.Range{From: rollup.Day(from.Int64), To: rollup.Day(to.Int64)}
	}
	if at.Int64 > 0 {
		r.figures.AsOf = time.Unix(at.Int64, 0).UTC()
		r.on = rollup.DayOf(r.figures.AsOf)
	}
	return err
}

// readBuilds finds the builds that were heard of in the range or before it. Most
// of those that there ever were may have been heard of in other years only.
func (r *reading) readBuilds(ctx context.Context, keep func(rollup.Build) bool) error {
	days := rollup.Range{From: min(r.figures.Range.Previous().From, r.figures.Range.Last(28).Previous().From), To: r.figures.Range.To}
	type row struct {
		id int64
		rollup.Build
	}
	rows, err := query(ctx, r.tx, func(rows *sql.Rows) (b row, err error) {
		err = rows.Scan(&b.id, &b.Version, &b.OS, &b.Arch)
		return b, err
	}, `SELECT id, version, os, arch FROM build WHERE product = $1 AND id IN (
			SELECT build FROM rollup WHERE product = $1 AND span = 28 AND day BETWEEN $2 AND $4
			UNION SELECT build FROM rollup WHERE product = $1 AND span = 7 AND day BETWEEN $5 AND $4
			UNION SELECT build FROM rollup WHERE product = $1 AND span = 1 AND day BETWEEN $6 AND $4
			UNION SELECT build FROM checks WHERE product = $1 AND day BETWEEN $3 AND $4)
		ORDER BY id`, r.product, rollup.FourWeeks.Start(days.From), days.From, days.To,
		rollup.FourWeeks.Start(r.on), rollup.OneWeek.Start(r.on)) // from where there are only shorter ones
	for _, b := range rows {
		b.Platform = checker.Platform{OS: b.OS, Arch: b.Arch}
		if keep(b.Build) {
			r.builds[b.id] = &rollup.BuildTotals{Build: b.Build}
			r.ids = append(r.ids, b.id)
		}
	}
	return err
}

// periods are those of a span in the range that have rollups, or those that have not.
func (r *reading) periods(span rollup.Span, rolled bool) []rollup.Period {
	return slices.DeleteFunc(r.figures.Range.Periods(span), func(p rollup.Period) bool {
		return (p.Span == rollup.OneDay || p.Ended(r.on)) != rolled || p.Day > r.figures.Known.To
	})
}

// openCount is the count of a period that has no rollup.
type openCount struct {
	rollup.Slot
	rollup.Count
}

// countOpen counts the weeks, and four of them, that are not over as far as the log is
// folded, though they lie in the range.
func (r *reading) countOpen(sums *rollup.Merger, sketches map[int64][]rollup.Encoded) (all []openCount, err error) {
	for _, span := range rollup.Spans[1:] {
		for _, p := range r.periods(span, false) {
			for build, rollups := range sketches {
				c, err := sums.CountPeriod(p, rollups)
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

// readCounts reads the counts of the periods of a span.
func (r *reading) readCounts(ctx context.Context, span rollup.Span) error {
	periods := r.periods(span, true)
	if len(periods) == 0 {
		return nil
	}
	rows, err := r.tx.QueryContext(ctx, `SELECT build, day, reports, ids, started, again FROM rollup
		WHERE product = $1 AND span = $2 AND day BETWEEN $3 AND $4 ORDER BY day`, r.product, span, periods[0].Day, periods[len(periods)-1].Day)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var c rollup.Count
		if err := rows.Scan(&id, &c.Day, &c.Reports, &c.Instances, &c.Started, &c.Repeated); err != nil {
			return err
		}
		if b := r.builds[id]; b != nil {
			counts := b.Counts(span)
			*counts = append(*counts, c)
		}
	}
	return rows.Err()
}

// readChecks adds the questions without an id to the days.
func (r *reading) readChecks(ctx context.Context) error {
	rows, err := r.tx.QueryContext(ctx, "SELECT build, day, count FROM checks WHERE product = $1 AND day BETWEEN $2 AND $3 ORDER BY day",
		r.product, r.figures.Range.From, r.figures.Range.To)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var c rollup.Count
		if err := rows.Scan(&id, &c.Day, &c.Checks); err != nil {
			return err
		}
		if b := r.builds[id]; b != nil {
			b.AddChecks(c.Day, c.Checks)
		}
	}
	return rows.Err()
}

// readSketches reads the rollups that the range and its parts are summed up from,
// by build.
func (r *reading) readSketches(ctx context.Context) (map[int64][]rollup.Encoded, error) {
	days := map[rollup.Span][]int64{}
	for _, p := range rollup.NeededPeriods(r.figures.Range, r.figures.Known, r.on) {
		days[p.Span] = append(days[p.Span], int64(p.Day))
	}
	all := make(map[int64][]rollup.Encoded, len(r.builds))
	for span, list := range days {
		in, list := r.inList("$3", list)
		err := eachSketch(ctx, r.tx, func(slot rollup.Slot, data []byte) error {
			if r.builds[slot.Build] != nil {
				all[slot.Build] = append(all[slot.Build], rollup.Encoded{Period: slot.Period, Data: r.forms.clone(data)})
			}
			return nil
		}, "product = $1 AND span = $2 AND day "+in, r.product, span, list)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// sum adds up the rollups of each build. It has nobody above it who would survive
// its panic.
func (r *reading) sum(ctx context.Context, sums *rollup.Merger, all map[int64][]rollup.Encoded) {
	var err error
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("sum up rollups: %v\n%s", p, debug.Stack())
		}
		r.forms.free()
		r.summed <- err
	}()
	for id, b := range r.builds {
		if err = sums.MergeInto(b, all[id]); err != nil {
			err = fmt.Errorf("build %d: %w", id, err)
			return
		}
		if err = ctx.Err(); err != nil {
			return
		}
	}
}

// arena holds the bytes of many rollups: some thousands for a year, and megabytes,
// which the next reading can use again.
type arena struct{ last []byte }

// arenas are those that are not in use. None of them has more than maxArena bytes.
var arenas = sync.Pool{New: func() any { return new(arena) }}

const leastArena, maxArena = 256 << 10, 32 << 20

// clone returns a copy of b, until the arena is freed.
func (a *arena) clone(b []byte) []byte {
	if free := cap(a.last) - len(a.last); free < len(b) {
		a.last = make([]byte, 0, max(leastArena, len(b), min(2*cap(a.last), maxArena)))
	}
	n := len(a.last)
	a.last = append(a.last, b...)
	return a.last[n:len(a.last):len(a.last)]
}

// free gives the memory to another reading.
func (a *arena) free() {
	if cap(a.last) > maxArena {
		a.last = nil
	}
	a.last = a.last[:0]
	arenas.Put(a)
}

func badSketch(slot rollup.Slot, err error) error {
	return fmt.Errorf("the rollup of build %d from %s on: %w", slot.Build, slot.Day, err)
}
