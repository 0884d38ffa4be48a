package db

import (
	"context"
	"database/sql"

	"relcheck/db/dbfile"
)

// createPostgres creates the tables of a new store in one transaction. If several servers
// try at once, one creates them.
func (s *Store) createPostgres(ctx context.Context, schema string, fill fill) (created bool, err error) {
	err = retry(ctx, s.retryable, func() error {
		return transact(ctx, s.main, func(tx *sql.Tx) error {
			created = false
			if empty, err := isEmpty(ctx, tx); !empty {
				return err
			}
			if _, err := tx.ExecContext(ctx, schema); err != nil {
				return err
			}
			created = true
			return fill(ctx, tx)
		})
	})
	return created, err
}

// isEmpty reports whether the database has no tables. It returns an error if it has those of
// another program.
func isEmpty(ctx context.Context, q querier) (bool, error) {
	var tables, stores int64
	err := q.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE table_name = 'setting')
		FROM information_schema.tables WHERE table_schema = current_schema()`).Scan(&tables, &stores)
	switch {
	case err != nil:
		return false, err
	case stores > 0: // another process was faster
		return false, checkSchema(ctx, q)
	case tables > 0:
		return false, dbfile.ErrForeign
	}
	return true, nil
}
