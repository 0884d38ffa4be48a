package db

import (
	"context"
	"database/sql"
	"time"
)

// chunkTime is how long a transaction writes that is one of many. While it does,
// no other process can write to a SQLite file, and none can if the process is
// stopped just then.
const chunkTime = 10 * time.Millisecond

// chunk runs f in a transaction that is one of many. f returns soon after enough
// returns true. Where a server records, it has its turn for nine times as long then:
// a process that is stopped holds the lock of a SQLite file in one case of ten.
func (s *Store) chunk(ctx context.Context, f func(tx *sql.Tx, enough func() bool) error) error {
	var began time.Time
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		began = time.Now()
		return f(tx, func() bool { return time.Since(began) >= chunkTime })
	})
	if err == nil && s.writerWaits() {
		err = sleep(ctx, idlePause(time.Since(began)))
	}
	return err
}

// deleteInChunks runs statements that delete a page of rows each, one after the
// other, each until it finds no more.
func (s *Store) deleteInChunks(ctx context.Context, product int64, statements ...string) error {
	for len(statements) > 0 {
		left := statements
		err := s.chunk(ctx, func(tx *sql.Tx, enough func() bool) error {
			for left = statements; len(left) > 0 && !enough(); {
				res, err := tx.ExecContext(ctx, left[0], product)
				if err != nil {
					return err
				}
				if n, err := res.RowsAffected(); err != nil {
					return err
				} else if n == 0 {
					left = left[1:]
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		statements = left
	}
	return nil
}
