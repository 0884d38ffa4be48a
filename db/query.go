package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// querier is implemented by *sql.DB, *sql.Conn and *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// eachRow calls f for each row of a query, until f returns an error.
func eachRow(ctx context.Context, q querier, f func(*sql.Rows) error, text string, args ...any) error {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// query returns the results of scan for each row.
func query[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), text string, args ...any) (all []T, err error) {
	err = eachRow(ctx, q, func(rows *sql.Rows) error {
		v, err := scan(rows)
		all = append(all, v)
		return err
	}, text, args...)
	return all, err
}

func scanValue[T any](rows *sql.Rows) (v T, err error) {
	err = rows.Scan(&v)
	return v, err
}

// mapped returns the results of f for all elements of a list.
func mapped[T, U any](all []T, f func(T) U) []U {
	results := make([]U, len(all))
	for i, v := range all {
		results[i] = f(v)
	}
	return results
}

// queryMap returns the results of scan by key. Of rows with the same key, the last one counts.
func queryMap[K comparable, V any](ctx context.Context, q querier, scan func(*sql.Rows) (K, V, error), text string, args ...any) (map[K]V, error) {
	all := map[K]V{}
	err := eachRow(ctx, q, func(rows *sql.Rows) error {
		key, v, err := scan(rows)
		all[key] = v
		return err
	}, text, args...)
	return all, err
}

// querySet returns the values of the rows of one column.
func querySet[T comparable](ctx context.Context, q querier, text string, args ...any) (map[T]bool, error) {
	return queryMap(ctx, q, func(rows *sql.Rows) (v T, isIn bool, err error) {
		err = rows.Scan(&v)
		return v, true, err
	}, text, args...)
}

// queryOne returns the first row of a query, or missing if there is none.
func queryOne[T any](ctx context.Context, q querier, missing error, scan func(*sql.Rows) (T, error), text string, args ...any) (v T, err error) {
	all, err := query(ctx, q, scan, text, args...)
	switch {
	case err != nil:
		return v, err
	case len(all) == 0:
		return v, missing
	}
	return all[0], nil
}

// queryValue returns the value of a row of one column. The error is sql.ErrNoRows if there
// is no row.
func queryValue[T any](ctx context.Context, q querier, text string, args ...any) (v T, err error) {
	err = q.QueryRowContext(ctx, text, args...).Scan(&v)
	return v, err
}

// update executes a statement and returns the number of rows that it has changed.
func update(ctx context.Context, q querier, text string, args ...any) (n int64, err error) {
	res, err := q.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// requireUpdate is like update, but returns missing if no row has changed.
func requireUpdate(ctx context.Context, q querier, missing error, text string, args ...any) error {
	n, err := update(ctx, q, text, args...)
	if err == nil && n == 0 {
		err = missing
	}
	return err
}

// update executes one statement in a transaction of its own, see the function update.
func (s *Store) update(ctx context.Context, text string, args ...any) (n int64, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) (err error) {
		n, err = update(ctx, tx, text, args...)
		return err
	})
	return n, err
}

func deleteFrom(ctx context.Context, q querier, tables []string, where string, args ...any) error {
	for _, table := range tables {
		if _, err := q.ExecContext(ctx, "DELETE FROM "+table+" WHERE "+where, args...); err != nil {
			return err
		}
	}
	return nil
}

func countRows(ctx context.Context, q querier, tables []string) (RowCounts, error) {
	rows := RowCounts{}
	for _, table := range tables {
		n, err := queryValue[int64](ctx, q, "SELECT count(*) FROM "+table)
		if err != nil {
			return nil, fmt.Errorf("read table %s: %w", table, err)
		}
		rows[table] = n
	}
	text := "SELECT count(*) FROM (SELECT DISTINCT product, tag FROM release_layer) AS r"
	if !slices.Contains(tables, "release_layer") { // a backup of an older schema
		text = "SELECT count(*) FROM release"
	}
	n, err := queryValue[int64](ctx, q, text)
	rows["release"] = n
	return rows, err
}

func setting(ctx context.Context, q querier, name string) (value int64, err error) {
	return queryValue[int64](ctx, q, "SELECT value FROM setting WHERE name = $1", name)
}

// next increments a setting and returns the new value.
func next(ctx context.Context, q querier, name string) (value int64, err error) {
	return increase(ctx, q, name, 1)
}

// increase adds to a setting and returns the new value.
func increase(ctx context.Context, q querier, name string, by int64) (value int64, err error) {
	return queryValue[int64](ctx, q, "UPDATE setting SET value = value + $2 WHERE name = $1 RETURNING value", name, by)
}
