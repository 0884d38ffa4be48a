package db

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

const insertRowsAtOnce = 500

type inserter struct {
	tx         *sql.Tx
	into, then string
	numbered   bool
	full       *sql.Stmt // of insertRowsAtOnce rows
	rows       int
	args       []any
}

// newInserter returns an inserter whose statements consist of into, the placeholders, and
// then. The caller must call close.
func newInserter(tx *sql.Tx, numbered bool, into, then string) inserter {
	return inserter{tx: tx, into: into, then: then, numbered: numbered}
}

func (i *inserter) add(ctx context.Context, row ...any) error {
	i.args = append(i.args, row...)
	if i.rows++; i.rows < insertRowsAtOnce {
		return nil
	}
	return i.flush(ctx)
}

func (i *inserter) flush(ctx context.Context) (err error) {
	if i.rows == 0 {
		return nil
	}
	if i.rows < insertRowsAtOnce || i.numbered { // PostgreSQL's driver prepares statements itself
		_, err = i.tx.ExecContext(ctx, i.text(), i.args...)
	} else {
		if i.full == nil {
			if i.full, err = i.tx.PrepareContext(ctx, i.text()); err != nil {
				return err
			}
		}
		_, err = i.full.ExecContext(ctx, i.args...)
	}
	clear(i.args)
	i.rows, i.args = 0, i.args[:0]
	return err
}

func (i *inserter) text() string {
	return i.into + values(i.rows, len(i.args)/i.rows, i.numbered) + i.then
}

func (i *inserter) close() {
	if i.full != nil {
		i.full.Close()
	}
}

// values returns placeholders for a number of rows: "($1,$2,…),($3,…),…". They have no
// numbers for SQLite, see insertRows.
func values(rows, columns int, numbered bool) string {
	var q strings.Builder
	for i := range rows * columns {
		switch {
		case i == 0:
			q.WriteByte('(')
		case i%columns == 0:
			q.WriteString("),(")
		default:
			q.WriteByte(',')
		}
		if !numbered {
			q.WriteByte('?')
			continue
		}
		q.WriteByte('$')
		q.WriteString(strconv.Itoa(i + 1))
	}
	q.WriteByte(')')
	return q.String()
}
