package db

import (
	"context"
	"database/sql"
	"fmt"

	"relcheck/checker/catalog"
)

// checkReleases returns an error if the store cannot have that many more releases.
// Counting them takes PostgreSQL as long as ten changes, so they are counted only if an
// upper bound, in table setting, exceeds the limit.
func checkReleases(ctx context.Context, tx *sql.Tx, more int64) error {
	var bound int64
	err := tx.QueryRowContext(ctx, "UPDATE setting SET value = value + $1 WHERE name = 'releases' RETURNING value", more).Scan(&bound)
	if err != nil || bound <= catalog.MaxReleases {
		return err
	}
	if err := checkCount(ctx, tx, "SELECT count(*) FROM release", more, catalog.MaxReleases, "releases"); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE setting SET value = $1 + (SELECT count(*) FROM release) WHERE name = 'releases'", more)
	return err
}

// checkCount returns an error if a count would exceed a limit with so many more.
func checkCount(ctx context.Context, tx *sql.Tx, query string, more, most int64, what string) error {
	var n int64
	err := tx.QueryRowContext(ctx, query).Scan(&n)
	if err == nil && n+more > most {
		err = fmt.Errorf("%w: a store has at most %d %s; remove a product that is no longer needed, or use another store", ErrLimit, most, what)
	}
	return err
}
