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

// exportPage is how many rows are read at once: a reader that held the store
// open for long would keep SQLite from reusing its write-ahead log.
const exportPage = 10_000

// Reports calls f with each report of a product that came in at or after
// since, in the order of recording, until f returns an error. Reports that
// come in meanwhile may or may not be among them.
func (s *Store) Reports(ctx context.Context, product string, since time.Time, f func(*Recorded) error) error {
	if _, err := s.Product(ctx, product); err != nil {
		return err
	}
	var last int64
	for {
		n, seq, err := s.reportPage(ctx, product, last, since, f)
		if err != nil || n < exportPage {
			return err
		}
		last = seq
	}
}

func (s *Store) reportPage(ctx context.Context, product string, after int64, since time.Time, f func(*Recorded) error) (n int, last int64, err error) {
	type row struct {
		seq int64
		Recorded
	}
	page, err := query(ctx, s.read, func(rows *sql.Rows) (r row, err error) {
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
		FROM report JOIN build ON build.id = report.build
		WHERE report.seq > $1 AND build.product = $2 AND report.at >= $3
		ORDER BY report.seq LIMIT $4`, after, product, since.Unix(), exportPage)
	if err != nil {
		return 0, 0, fmt.Errorf("read reports of %s: %w", product, err)
	}
	for i := range page {
		if err := f(&page[i].Recorded); err != nil {
			return 0, 0, err
		}
		last = page[i].seq
	}
	return len(page), last, nil
}
