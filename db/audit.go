package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/printable"
)

// Actors of the audit log beside tokens.
const (
	CommandLine = "command line"
	Server      = "server" // a change that no request has asked for
)

// As returns the same store with another actor for the audit log, instead of
// [CommandLine]. Close only one of the two.
func (s *Store) As(actor string) *Store {
	other := *s
	other.actor = actor
	return &other
}

// audit records a change, in the transaction of the change.
func (s *Store) audit(ctx context.Context, tx *sql.Tx, action, product, detail string) error {
	id, err := next(ctx, tx, "audit")
	if err == nil {
		_, err = tx.ExecContext(ctx, "INSERT INTO audit (id, at, who, action, product, detail) VALUES ($1, $2, $3, $4, $5, $6)",
			id, time.Now().Unix(), s.actor, action, product, detail)
	}
	if err != nil {
		return fmt.Errorf("write to the audit log: %w", err)
	}
	return nil
}

// Audit returns the changes at or after since, the newest first. If product is not
// empty, it returns only the changes of that product, which may have been removed.
func (s *Store) Audit(ctx context.Context, product string, since time.Time) ([]access.AuditEntry, error) {
	return s.readAudit(ctx, "at >= $1 AND ($2 = '' OR product = $2) ORDER BY id DESC", since.Unix(), product)
}

// AuditPage returns the newest n changes with IDs below before, or the newest n if that is 0,
// see [Store.Audit].
func (s *Store) AuditPage(ctx context.Context, product string, before int64, n int) ([]access.AuditEntry, error) {
	return s.readAudit(ctx, "($1 = 0 OR id < $1) AND ($2 = '' OR product = $2) ORDER BY id DESC LIMIT $3", before, product, n)
}

func (s *Store) readAudit(ctx context.Context, where string, args ...any) ([]access.AuditEntry, error) {
	all, err := query(ctx, s.read, func(rows *sql.Rows) (a access.AuditEntry, err error) {
		var at int64
		err = rows.Scan(&a.ID, &at, &a.Actor, &a.Action, &a.Product, &a.Detail)
		a.At = time.Unix(at, 0).UTC()
		a.Actor, a.Product, a.Detail = printable.Clean(a.Actor), printable.Clean(a.Product), printable.Clean(a.Detail)
		return a, err
	}, "SELECT id, at, who, action, product, detail FROM audit WHERE "+where, args...)
	return all, s.explain(err)
}
