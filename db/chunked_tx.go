package db

import (
	"context"
	"database/sql"
	"time"
)

// chunkTime limits the duration of each transaction of a long change. Meanwhile, and as
// long as its process is stopped just then, no other process can write to a SQLite file.
const chunkTime = 10 * time.Millisecond

// busyTries is the maximum number of attempts of a long change's transaction to lock a
// SQLite file. Each attempt takes 10 seconds. A server that records without a pause can
// hold the lock for longer.
const busyTries = 12

// inLongChange is like [Store.inTx] for one transaction of a long change. It waits longer,
// because the whole change would fail with the transaction.
func (s *Store) inLongChange(ctx context.Context, f func(*sql.Tx) error) (err error) {
	for range busyTries {
		if err = s.inTx(ctx, f); code(err) != codeBusy || ctx.Err() != nil {
			break
		}
	}
	return err
}

// chunk runs f in one of the transactions of a long change. f must return soon after
// enough returns true. If a server records into the SQLite file, chunk then waits nine
// times as long: a process that is stopped at a random time holds the lock with a
// probability of a tenth.
func (s *Store) chunk(ctx context.Context, f func(tx *sql.Tx, enough func() bool) error) error {
	var began time.Time
	err := s.inLongChange(ctx, func(tx *sql.Tx) error {
		began = time.Now()
		return f(tx, func() bool { return time.Since(began) >= chunkTime })
	})
	if err == nil && s.writerWaits() {
		err = sleep(ctx, idlePause(time.Since(began)))
	}
	return err
}

// inChunks runs the steps of a long change, 0 to n-1, in the transactions of [Store.chunk],
// which also keep a stage unless it is nil. run runs a step and returns the next one, which
// may be the same again.
func (s *Store) inChunks(ctx context.Context, st *stage, n int, run func(tx *sql.Tx, step int) (next int, err error)) error {
	for step := 0; step < n; {
		var next int
		err := s.chunk(ctx, func(tx *sql.Tx, enough func() bool) (err error) {
			if st != nil {
				err = st.renew(ctx, tx)
			}
			for next = step; err == nil && next < n && !enough(); {
				next, err = run(tx, next)
			}
			return err
		})
		if err != nil {
			return err
		}
		step = next
	}
	return nil
}

// deleteInChunks runs statements that each delete a page of rows, one after the other,
// each until it deletes none.
func (s *Store) deleteInChunks(ctx context.Context, product int64, statements ...string) error {
	return s.inChunks(ctx, nil, len(statements), func(tx *sql.Tx, i int) (int, error) {
		n, err := update(ctx, tx, statements[i], product)
		if n == 0 {
			i++
		}
		return i, err
	})
}
