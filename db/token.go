package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/printable"
)

const tokenColumns = "id, name, scope, hash, created, used, revoked"

// AddToken stores a new token.
func (s *Store) AddToken(ctx context.Context, t access.Token) error {
	return s.inTx(ctx, func(tx *sql.Tx) error { return s.insertToken(ctx, tx, t) })
}

// AddFirstToken stores a new token and a sign-in link for it, unless the store has
// had a token before, and reports whether it did. Of several concurrent calls, one
// succeeds.
func (s *Store) AddFirstToken(ctx context.Context, t access.Token, link access.Grant) (added bool, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		added = false
		n, err := queryValue[int64](ctx, tx, "SELECT count(*) FROM token")
		if err != nil || n > 0 {
			return err
		}
		added = true
		if err := s.As(Server).insertToken(ctx, tx, t); err != nil {
			return err
		}
		return insertGrant(ctx, tx, "link", link)
	})
	return added && err == nil, err
}

func (s *Store) insertToken(ctx context.Context, tx *sql.Tx, t access.Token) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO token ("+tokenColumns+") VALUES ($1, $2, $3, $4, $5, NULL, NULL)",
		t.ID, t.Name, string(t.Scope), t.Hash[:], t.Created.Unix())
	if err != nil {
		return err
	}
	return s.audit(ctx, tx, tokenAdded, "", t.ID+": "+string(t.Scope))
}

// Tokens returns all tokens, including revoked ones, by time of creation.
func (s *Store) Tokens(ctx context.Context) ([]access.Token, error) {
	all, err := query(ctx, s.read, scanToken, "SELECT "+tokenColumns+" FROM token ORDER BY created, id")
	return all, s.explain(err)
}

// Token returns the token with an ID, even if it is revoked, or nil if there is none.
func (s *Store) Token(ctx context.Context, id string) (*access.Token, error) {
	return s.oneToken(ctx, "WHERE id = $1", id)
}

// oneToken returns the token that a condition selects, or nil.
func (s *Store) oneToken(ctx context.Context, where string, args ...any) (*access.Token, error) {
	found, err := query(ctx, s.read, scanToken, "SELECT "+tokenColumns+" FROM token "+where, args...)
	if err != nil || len(found) == 0 {
		return nil, s.explain(err)
	}
	return &found[0], nil
}

// RevokeToken revokes a token and removes its links and sessions; servers notice
// within seconds. If it was revoked before, that time stays. The error wraps [ErrNotFound]
// if the token does not exist.
func (s *Store) RevokeToken(ctx context.Context, id string, now time.Time) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		revoked, err := queryValue[sql.NullInt64](ctx, tx, "SELECT revoked FROM token WHERE id = $1", id)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("token %s: %w; list the tokens with relcheck token list", id, ErrNotFound)
		case err != nil || revoked.Valid:
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE token SET revoked = $2 WHERE id = $1", id, now.Unix()); err != nil {
			return err
		}
		if err := deleteFrom(ctx, tx, grantTables, "token = $1", id); err != nil {
			return err
		}
		return s.audit(ctx, tx, tokenRevoked, "", id)
	})
}

// UseToken records the hour of the last use of a token, unless a later one is recorded.
func (s *Store) UseToken(ctx context.Context, id string, at time.Time) error {
	_, err := s.update(ctx, "UPDATE token SET used = $2 WHERE id = $1 AND (used IS NULL OR used < $2)", id, at.Truncate(time.Hour).Unix())
	return err
}

func scanToken(rows *sql.Rows) (t access.Token, err error) {
	var hash []byte
	var created int64
	var used, revoked sql.NullInt64
	if err := rows.Scan(&t.ID, &t.Name, &t.Scope, &hash, &created, &used, &revoked); err != nil {
		return t, err
	}
	t.Name = printable.Clean(t.Name)
	if copy(t.Hash[:], hash) != len(t.Hash) || len(hash) != len(t.Hash) {
		return t, fmt.Errorf("token %s: its hash has %d bytes instead of 32", t.ID, len(hash))
	}
	t.Created, t.LastUsed, t.Revoked = time.Unix(created, 0).UTC(), moment(used), moment(revoked)
	return t, nil
}

// moment returns a stored time, or the zero time for NULL.
func moment(at sql.NullInt64) time.Time {
	if !at.Valid {
		return time.Time{}
	}
	return time.Unix(at.Int64, 0).UTC()
}
