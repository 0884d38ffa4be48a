package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"relcheck/checker/access"
)

const tokenColumns = "id, name, scope, hash, created, used, revoked"

// AddToken keeps a new token.
func (s *Store) AddToken(ctx context.Context, t access.Token) error {
	return s.inTx(ctx, func(tx *sql.Tx) error { return s.insertToken(ctx, tx, t) })
}

// AddFirstToken keeps a new token if there has never been one, and tells
// whether it did. Of several who try at once, one succeeds.
func (s *Store) AddFirstToken(ctx context.Context, t access.Token) (added bool, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		added = false
		var n int64
		err := tx.QueryRowContext(ctx, "SELECT count(*) FROM token").Scan(&n)
		if err != nil || n > 0 {
			return err
		}
		added = true
		return s.As(Server).insertToken(ctx, tx, t)
	})
	return added && err == nil, err
}

func (s *Store) insertToken(ctx context.Context, tx *sql.Tx, t access.Token) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO token ("+tokenColumns+") VALUES ($1, $2, $3, $4, $5, NULL, NULL)",
		t.ID, t.Name, string(t.Scope), t.Hash[:], t.Created.Unix())
	if err != nil {
		return err
	}
	return s.note(ctx, tx, tokenAdded, "", t.ID+": "+string(t.Scope))
}

// Tokens returns all tokens, revoked ones too, in the order in which they were made.
func (s *Store) Tokens(ctx context.Context) ([]access.Token, error) {
	all, err := query(ctx, s.read, scanToken, "SELECT "+tokenColumns+" FROM token ORDER BY created, id")
	return all, s.explain(err)
}

// Token returns the token with an id, a revoked one too, or nil if there is none.
func (s *Store) Token(ctx context.Context, id string) (*access.Token, error) {
	found, err := query(ctx, s.read, scanToken, "SELECT "+tokenColumns+" FROM token WHERE id = $1", id)
	if err != nil || len(found) == 0 {
		return nil, s.explain(err)
	}
	return &found[0], nil
}

// RevokeToken takes a token back; servers notice within seconds. One that was
// taken back before stays so. The error wraps [ErrNotFound] if there is none.
func (s *Store) RevokeToken(ctx context.Context, id string, now time.Time) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		var revoked sql.NullInt64
		err := tx.QueryRowContext(ctx, "SELECT revoked FROM token WHERE id = $1", id).Scan(&revoked)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return noToken(id)
		case err != nil || revoked.Valid:
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE token SET revoked = $2 WHERE id = $1", id, now.Unix()); err != nil {
			return err
		}
		return s.note(ctx, tx, tokenRevoked, "", id)
	})
}

// UseToken keeps the hour in which a token was used, unless a later one is known.
func (s *Store) UseToken(ctx context.Context, id string, at time.Time) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE token SET used = $2 WHERE id = $1 AND (used IS NULL OR used < $2)",
			id, at.Truncate(time.Hour).Unix())
		return err
	})
}

// SessionKey returns the random bytes that key the cookies of those who have
// signed in.
func (s *Store) SessionKey(ctx context.Context) (key []byte, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT value FROM secret WHERE name = 'session'").Scan(&key)
	if err == nil && len(key) < 32 {
		err = errors.New("it is too short")
	}
	if err != nil {
		err = fmt.Errorf("read the key of sessions: %w", s.explain(err))
	}
	return key, err
}

func scanToken(rows *sql.Rows) (t access.Token, err error) {
	var hash []byte
	var created int64
	var used, revoked sql.NullInt64
	if err := rows.Scan(&t.ID, &t.Name, &t.Scope, &hash, &created, &used, &revoked); err != nil {
		return t, err
	}
	if copy(t.Hash[:], hash) != len(t.Hash) || len(hash) != len(t.Hash) {
		return t, fmt.Errorf("token %s: its hash has %d bytes", t.ID, len(hash))
	}
	t.Created, t.Used, t.Revoked = time.Unix(created, 0).UTC(), moment(used), moment(revoked)
	return t, nil
}

// moment returns a time of the store, or the zero time for NULL.
func moment(at sql.NullInt64) time.Time {
	if !at.Valid {
		return time.Time{}
	}
	return time.Unix(at.Int64, 0).UTC()
}

func noToken(id string) error {
	return fmt.Errorf("token %s: %w; relcheck token list shows those there are", id, ErrNotFound)
}
