package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"relcheck/db/dbfile"
)

var errNotEmpty = errors.New("a store or other data already exists at the destination; copy to a new file or an empty database")

// Copy creates a new store with the given name and copies everything that s contains at the
// start. The destination must be missing or empty. The error wraps [ErrInUse] if a SQLite
// file has a writer. The copy is one transaction, so an interrupted one leaves nothing
// behind; before it commits, Copy reads all rows back and compares counts and checksums.
// progress is called repeatedly with the number of rows written and read back so far.
func (s *Store) Copy(ctx context.Context, name, schema string, progress func(done, total int64)) (RowCounts, error) {
	c := copier{from: s, tables: tables(schema), progress: progress}
	create := createFile
	switch {
	case isPostgres(name):
		create, c.numbered = createDatabase, true
	case notAFile.MatchString(name):
		return nil, errURL
	}
	if file, ok := s.engine.(*sqliteFile); ok && !file.unchanged {
		lock, err := dbfile.AcquireLock(file.path, file.handle)
		if err != nil {
			return nil, fmt.Errorf("copy %s: %w; stop the server first, because the copy would lack what it records meanwhile", s.name, err)
		}
		defer lock.Release()
	}
	err := create(ctx, name, schema, c.run)
	return c.copied, err
}

func createFile(ctx context.Context, path, schema string, fill fill) error {
	if err := requireCreated(createSQLite(ctx, path, schema, fill)); err != nil {
		return openError(path, err)
	}
	return nil
}

func createDatabase(ctx context.Context, dsn, schema string, fill fill) error {
	s, err := dial(ctx, dsn, func(s *Store) error {
		if err := checkDurable(ctx, s.main); err != nil {
			return err
		}
		return requireCreated(s.createPostgres(ctx, schema, fill))
	})
	if err != nil {
		return err
	}
	return s.Close()
}

func requireCreated(created bool, err error) error {
	if err == nil && !created || errors.Is(err, dbfile.ErrForeign) {
		return errNotEmpty
	}
	return err
}

type copier struct {
	from        *Store
	tables      []string
	numbered    bool // see dialect, of the new store
	copied      RowCounts
	done, total int64
	progress    func(done, total int64)
}

// run copies and verifies, inside the transaction that creates the new store.
func (c *copier) run(ctx context.Context, to *sql.Tx) error {
	c.done, c.total = 0, 0
	return c.from.inSnapshot(ctx, func(from *sql.Tx) error {
		// A newer relcheck may have upgraded the store since it was opened.
		err := checkSchema(ctx, from)
		if err == nil {
			err = refuseOldSchema(ctx, from)
		}
		if err != nil {
			return fmt.Errorf("copy %s: %w", c.from.name, err)
		}
		if c.copied, err = countRows(ctx, from, c.tables); err != nil {
			return err
		}
		for _, table := range c.tables {
			c.total += 2 * c.copied[table] // written and read back
		}
		sums := map[string]checksum{}
		for _, table := range c.tables {
			sum, err := c.copyTable(ctx, from, to, table)
			if err != nil {
				return fmt.Errorf("copy table %s: %w", table, err)
			}
			sums[table] = sum
		}
		for _, table := range c.tables {
			sum, err := c.readTable(ctx, to, table, func([]string, []any) error { return nil })
			if err != nil {
				return fmt.Errorf("read back table %s: %w", table, err)
			}
			if sum != sums[table] || sum.rows != c.copied[table] {
				return fmt.Errorf("the copy of table %s differs from the original: it has %d rows instead of %d, or other values", table, sum.rows, c.copied[table])
			}
		}
		return nil
	})
}

// refuseOldSchema returns an error if a store, which was opened without upgrading it, has
// an older schema.
func refuseOldSchema(ctx context.Context, q querier) error {
	version, err := setting(ctx, q, "schema")
	if err == nil && version < SchemaVersion {
		err = fmt.Errorf("the store has schema %d of an older relcheck: restore it to a file, and copy that with relcheck copy", version)
	}
	return err
}

// copyTable copies a table, and replaces the rows that the schema has inserted.
func (c *copier) copyTable(ctx context.Context, from, to *sql.Tx, table string) (checksum, error) {
	if _, err := to.ExecContext(ctx, "DELETE FROM "+table); err != nil {
		return checksum{}, err
	}
	var insert inserter
	defer func() { insert.close() }()
	sum, err := c.readTable(ctx, from, table, func(columns []string, row []any) (err error) {
		if insert.tx == nil {
			insert = newInserter(to, c.numbered, "INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES ", "")
		}
		return insert.add(ctx, row...)
	})
	if err == nil {
		err = insert.flush(ctx)
	}
	return sum, err
}

// readTable calls f with each row of a table, and returns their checksum.
func (c *copier) readTable(ctx context.Context, q querier, table string, f func(columns []string, row []any) error) (sum checksum, err error) {
	text := "SELECT * FROM " + table
	if table == "report" {
		text += " ORDER BY seq" // SQLite stores it in this order
	}
	rows, err := q.QueryContext(ctx, text)
	if err != nil {
		return sum, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return sum, err
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return sum, err
	}
	row, into, order := make([]any, len(columns)), make([]any, len(columns)), make([]int, len(columns))
	for i := range row {
		into[i], order[i] = &row[i], i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(columns[a], columns[b]) })
	var buf []byte
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return sum, err
		}
		for i, t := range types {
			if n, ok := row[i].(int64); ok && t.DatabaseTypeName() == "BOOLEAN" { // SQLite returns a number
				row[i] = n != 0
			}
		}
		if buf, err = sum.add(columns, order, row, buf[:0]); err != nil {
			return sum, err
		}
		if err := f(columns, row); err != nil {
			return sum, err
		}
		if c.done++; c.done%10_000 == 0 || c.done == c.total {
			c.progress(c.done, c.total)
		}
	}
	return sum, rows.Err()
}

// checksum is the sum of the hashes of rows, which does not depend on their order. A hash
// does not depend on the order of columns.
type checksum struct {
	rows int64
	sum  [2]uint64
}

// add adds a row. order lists the columns by name. buf is scratch space, which add returns.
func (s *checksum) add(columns []string, order []int, row []any, buf []byte) ([]byte, error) {
	for _, i := range order {
		buf = append(buf, columns[i]...)
		switch v := row[i].(type) {
		case nil:
			buf = append(buf, 0)
		case int64:
			buf = binary.LittleEndian.AppendUint64(append(buf, 1), uint64(v))
		case bool:
			buf = strconv.AppendBool(append(buf, 2), v)
		case string:
			buf = append(binary.LittleEndian.AppendUint64(append(buf, 3), uint64(len(v))), v...)
		case []byte:
			buf = append(binary.LittleEndian.AppendUint64(append(buf, 4), uint64(len(v))), v...)
		default:
			return buf, fmt.Errorf("column %s has a value of type %T", columns[i], v)
		}
	}
	h := sha256.Sum256(buf)
	s.rows++
	s.sum[0] += binary.LittleEndian.Uint64(h[:])
	s.sum[1] += binary.LittleEndian.Uint64(h[8:])
	return buf, nil
}
