package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
)

// Recorded is a report as it stands in the log.
type Recorded struct {
	At       time.Time // UTC, to the second
	Platform checker.Platform
	checker.Report
}

const (
	// logPage is how many rows are read at once: a reader that held the store
	// open for long would keep SQLite from reusing its write-ahead log.
	logPage = 10_000
	// nodeBits is where the number of the node begins in a report's seq.
	nodeBits = 40
)

// Position is how far a reader of a product's log has come: the last seq of
// each node. The zero value is the beginning.
type Position struct {
	last map[int64]int64
}

// Reports calls f with each report of a product that came in at or after
// since, until f returns an error. They come in the order of recording; where
// several connections have recorded, first all of one and then all of another.
// Reports that come in meanwhile may or may not be among them.
func (s *Store) Reports(ctx context.Context, product string, since time.Time, f func(*Recorded) error) error {
	return s.readLog(ctx, product, new(Position), since, f)
}

// Follow calls f with each report of a product that lies beyond the position,
// and moves the position past it. Whoever calls it again and again gets every
// report once, however late its transaction came to an end. After an error the
// position is past the last report that f took.
func (s *Store) Follow(ctx context.Context, product string, p *Position, f func(*Recorded) error) error {
	return s.readLog(ctx, product, p, time.Unix(0, 0), f)
}

func (s *Store) readLog(ctx context.Context, product string, p *Position, since time.Time, f func(*Recorded) error) error {
	id, err := productID(ctx, s.read, product)
	if err != nil {
		return err
	}
	if p.last == nil {
		p.last = map[int64]int64{}
	}
	for node := int64(0); ; node++ {
		if node, err = s.nextNode(ctx, id, node); err != nil || node < 0 {
			return s.explain(err)
		}
		for n := logPage; n == logPage; {
			last := max(p.last[node], node<<nodeBits)
			page, err := s.logPage(ctx, id, last, (node+1)<<nodeBits, since)
			if err != nil {
				return fmt.Errorf("read reports of %s: %w", product, s.explain(err))
			}
			for i := range page {
				if err := f(&page[i].Recorded); err != nil {
					return err
				}
				p.last[node] = page[i].seq
			}
			n = len(page)
		}
	}
}

// nextNode returns the first node, from the given one on, that has reports of a
// product, or -1. Most that were ever given out have none any more.
func (s *Store) nextNode(ctx context.Context, product, from int64) (node int64, err error) {
	var first sql.NullInt64
	err = s.read.QueryRowContext(ctx, "SELECT MIN(seq) FROM report WHERE product = $1 AND seq >= $2", product, from<<nodeBits).Scan(&first)
	if err != nil || !first.Valid {
		return -1, err
	}
	return first.Int64 >> nodeBits, nil
}

// logRow is a report with its place in the log.
type logRow struct {
	seq int64
	Recorded
}

// logPage reads reports from after one seq to before another.
func (s *Store) logPage(ctx context.Context, product, after, before int64, since time.Time) ([]logRow, error) {
	return query(ctx, s.read, func(rows *sql.Rows) (r logRow, err error) {
		var at int64
		var id []byte
		var heap sql.NullInt64
		err = rows.Scan(&r.seq, &at, &r.Version, &r.Platform.OS, &r.Platform.Arch, &id, &heap)
		r.At = time.Unix(at, 0).UTC()
		if heap.Valid {
			r.HeapUsageBytes = &heap.Int64
		}
		if err == nil {
			r.ID, err = uuid.FromBytes(id)
		}
		return r, err
	}, `SELECT report.seq, report.at, build.version, build.os, build.arch, report.instance, report.heap
		FROM report JOIN build ON build.product = report.product AND build.id = report.build
		WHERE report.product = $1 AND report.seq > $2 AND report.seq < $3 AND report.at >= $4
		ORDER BY report.seq LIMIT $5`, product, after, before, since.Unix(), logPage)
}
