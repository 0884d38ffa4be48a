package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"relcheck/checker/printable"
)

// Who changes something, other than those who have a token.
const (
	CommandLine = "command line"
	Server      = "server" // by itself
)

// Actions of the audit log.
const (
	productAdded     = "product.added"
	productChanged   = "product.changed"
	productRemoved   = "product.removed"
	releaseAdded     = "release.added"
	releaseChanged   = "release.changed"
	releaseWithdrawn = "release.withdrawn"
	releaseRestored  = "release.restored"
	releasesImported = "releases.imported"
	releasesSynced   = "releases.synced"
	tokenAdded       = "token.added"
	tokenRevoked     = "token.revoked"
	linkAdded        = "link.added"
)

// Audited is one change that somebody made.
type Audited struct {
	At      time.Time // UTC, to the second
	Who     string    // the id of a token, [CommandLine] or [Server]
	Action  string    // what was done: release.added
	Product string    // its name, or empty if it is not about one
	Detail  string    // which release or token, and what of it
}

// As returns the same store, for changes that are somebody else's than of the
// command line. Only one of the two is closed.
func (s *Store) As(who string) *Store {
	other := *s
	other.actor = who
	return &other
}

// note writes down a change, in the transaction of the change.
func (s *Store) audit(ctx context.Context, tx *sql.Tx, action, product, detail string) error {
	id, err := next(ctx, tx, "audit")
	if err == nil {
		_, err = tx.ExecContext(ctx, "INSERT INTO audit (id, at, who, action, product, detail) VALUES ($1, $2, $3, $4, $5, $6)",
			id, time.Now().Unix(), s.actor, action, product, detail)
	}
	if err != nil {
		return fmt.Errorf("write it down in the audit log: %w", err)
	}
	return nil
}

// Audit returns the changes that were made at or after since, the newest first:
// those of one product, or all if the name is empty. The product may be gone.
func (s *Store) Audit(ctx context.Context, product string, since time.Time) ([]Audited, error) {
	all, err := query(ctx, s.read, func(rows *sql.Rows) (a Audited, err error) {
		var at int64
		err = rows.Scan(&at, &a.Who, &a.Action, &a.Product, &a.Detail)
		a.At = time.Unix(at, 0).UTC()
		a.Who, a.Product, a.Detail = printable.Clean(a.Who), printable.Clean(a.Product), printable.Clean(a.Detail)
		return a, err
	}, "SELECT at, who, action, product, detail FROM audit WHERE at >= $1 AND ($2 = '' OR product = $2) ORDER BY id DESC", since.Unix(), product)
	return all, s.explain(err)
}
