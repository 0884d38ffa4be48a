package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
)

// Recorded is a report in the log.
type Recorded struct {
	At       time.Time // UTC, to the second
	Platform checker.Platform
	checker.Report
}

const (
	// logPage is the number of rows that one query reads: a long query would keep SQLite
	// from resetting the WAL.
	logPage = 10_000
	// nodeBits is the position of the node number in the seq of a report.
	nodeBits = 40
)

// Reports calls f with each report of a product since a time, until f returns an error.
// The reports of each node, which is a connection that has recorded, are in the order of
// recording. Reports that are recorded meanwhile may be missing.
func (s *Store) Reports(ctx context.Context, product string, since time.Time, f func(*Recorded) error) error {
	return s.readLog(ctx, product, map[int64]int64{}, since, f)
}

// readLog calls f with each report after the last one of its node, and advances last.
func (s *Store) readLog(ctx context.Context, product string, last map[int64]int64, since time.Time, f func(*Recorded) error) error {
	id, err := productID(ctx, s.read, product)
	if err != nil {
		return err
	}
	for node := int64(0); ; node++ {
		if node, err = s.nextNode(ctx, id, node); err != nil || node < 0 {
			return s.explain(err)
		}
		for n := logPage; n == logPage; {
			page, err := s.logPage(ctx, id, max(last[node], node<<nodeBits), (node+1)<<nodeBits, since)
			if err != nil {
				return fmt.Errorf("read reports of %s: %w", product, s.explain(err))
			}
			for i := range page {
				if err := f(&page[i].Recorded); err != nil {
					return err
				}
				last[node] = page[i].seq
			}
			n = len(page)
		}
	}
}

// nextNode returns the first node at or after from that has reports of a product, or -1.
// Most nodes have none any more.
func (s *Store) nextNode(ctx context.Context, product, from int64) (node int64, err error) {
	first, err := queryValue[sql.NullInt64](ctx, s.read, "SELECT MIN(seq) FROM report WHERE product = $1 AND seq >= $2", product, from<<nodeBits)
	if err != nil || !first.Valid {
		return -1, err
	}
	return first.Int64 >> nodeBits, nil
}

type logRow struct {
	seq int64
	Recorded
}

// logPage reads the next reports with seqs between after and before, both exclusive.
func (s *Store) logPage(ctx context.Context, product, after, before int64, since time.Time) ([]logRow, error) {
	return query(ctx, s.read, func(rows *sql.Rows) (r logRow, err error) {
		var at int64
		var id []byte
		err = rows.Scan(&r.seq, &at, &r.Version, &r.Platform.OS, &r.Platform.Arch, &id, &r.HeapUsageBytes)
		r.At = time.Unix(at, 0).UTC()
		if err == nil {
			r.ID, err = uuid.FromBytes(id)
		}
		return r, err
	}, `SELECT report.seq, report.at, build.version, build.os, build.arch, report.instance, report.heap
		FROM report JOIN build ON build.product = report.product AND build.id = report.build
		WHERE report.product = $1 AND report.seq > $2 AND report.seq < $3 AND report.at >= $4
		ORDER BY report.seq LIMIT $5`, product, after, before, since.Unix(), logPage)
}
