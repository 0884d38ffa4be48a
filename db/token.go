package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/printable"
)

const tokenColumns = "id, name, scope, hash, created, used, revoked"

// AddToken stores a new token.
func (s *Store) AddToken(ctx context.Context, t access.Token) error {
	return s.inChange(ctx, func(tx *sql.Tx) error { return s.insertToken(ctx, tx, t) })
}

// AddFirstToken stores a new token and a sign-in link for it, unless the store has
// had a token before, and reports whether it did. Of several concurrent calls, one
// succeeds.
func (s *Store) AddFirstToken(ctx context.Context, t access.Token, link access.Grant) (added bool, err error) {
	// A server that starts need not wait for a change of the catalog, unless it is the first one.
	if used, err := queryValue[bool](ctx, s.read, "SELECT EXISTS (SELECT 1 FROM token)"); err != nil || used {
		return false, s.explain(err)
	}
	err = s.inChange(ctx, func(tx *sql.Tx) error {
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
	return s.audit(ctx, tx, access.TokenAdded, "", t.ID+": "+string(t.Scope))
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
	return s.inChange(ctx, func(tx *sql.Tx) error {
		missing := fmt.Errorf("token %s: %w; list the tokens with relcheck token list", id, ErrNotFound)
		revoked, err := queryOne(ctx, tx, missing, scanValue[sql.NullInt64], "SELECT revoked FROM token WHERE id = $1", id)
		if err != nil || revoked.Valid {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE token SET revoked = $2 WHERE id = $1", id, now.Unix()); err != nil {
			return err
		}
		if err := deleteFrom(ctx, tx, grantTables, "token = $1", id); err != nil {
			return err
		}
		return s.audit(ctx, tx, access.TokenRevoked, "", id)
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
	t.Created, t.LastUsed, t.Revoked = time.Unix(created, 0).UTC(), timeOf(used.Int64), timeOf(revoked.Int64)
	return t, nil
}

const (
	// maxGrantsOfToken is the number of sessions that one token can have at a time,
	// and of sign-in links. The oldest ones make room for new ones.
	maxGrantsOfToken = 100
	// maxGrants is the same for all tokens together.
	maxGrants = 10_000
)

// AddLink stores a new sign-in link.
func (s *Store) AddLink(ctx context.Context, link access.Grant) error {
	return s.inChange(ctx, func(tx *sql.Tx) error {
		if err := insertGrant(ctx, tx, "link", link); err != nil {
			return err
		}
		return s.audit(ctx, tx, access.LinkAdded, "", link.TokenID)
	})
}

// Link returns the token of a sign-in link, which may be revoked, or nil if the link
// does not exist, is used up or has expired.
func (s *Store) Link(ctx context.Context, hash access.Hash) (*access.Token, error) {
	return s.grantedBy(ctx, "link", hash)
}

// UseLink uses up a sign-in link and stores the session that it starts. It reports
// false if the link does not exist, is used up or has expired: of several calls with
// one link, one succeeds.
func (s *Store) UseLink(ctx context.Context, hash access.Hash, session access.Grant) (used bool, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		n, err := update(ctx, tx, "DELETE FROM link WHERE hash = $1 AND token = $2 AND expires > $3", hash[:], session.TokenID, time.Now().Unix())
		if used = n > 0; err != nil || !used {
			return err
		}
		return insertGrant(ctx, tx, "session", session)
	})
	return used && err == nil, err
}

// AddSession stores a new session.
func (s *Store) AddSession(ctx context.Context, session access.Grant) error {
	return s.inTx(ctx, func(tx *sql.Tx) error { return insertGrant(ctx, tx, "session", session) })
}

// Session returns the token of a session, which may be revoked, or nil if the
// session does not exist or has ended.
func (s *Store) Session(ctx context.Context, hash access.Hash) (*access.Token, error) {
	return s.grantedBy(ctx, "session", hash)
}

// EndSession removes a session, if it exists.
func (s *Store) EndSession(ctx context.Context, hash access.Hash) error {
	_, err := s.update(ctx, "DELETE FROM session WHERE hash = $1", hash[:])
	return err
}

// grantedBy returns the token of a row of table link or session.
func (s *Store) grantedBy(ctx context.Context, table string, hash access.Hash) (*access.Token, error) {
	return s.oneToken(ctx, "WHERE id = (SELECT token FROM "+table+" WHERE hash = $1 AND expires > $2)", hash[:], time.Now().Unix())
}

// insertGrant adds a row to table link or session, and removes the oldest rows if
// there are too many of one token or altogether.
func insertGrant(ctx context.Context, tx *sql.Tx, table string, g access.Grant) error {
	for token, most := range map[string]int64{g.TokenID: maxGrantsOfToken, "": maxGrants} {
		n, err := queryValue[int64](ctx, tx, "SELECT count(*) FROM "+table+" WHERE $1 = '' OR token = $1", token)
		if err == nil && n >= most {
			_, err = tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE hash IN (SELECT hash FROM "+table+
				" WHERE $1 = '' OR token = $1 ORDER BY expires LIMIT $2)", token, n-most+1)
		}
		if err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO "+table+" (hash, token, expires) VALUES ($1, $2, $3)", g.Hash[:], g.TokenID, g.Expires.Unix())
	return err
}

var grantTables = []string{"link", "session"}

func (s *Store) expireGrants(ctx context.Context, now time.Time) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		return deleteFrom(ctx, tx, grantTables, "expires <= $1", now.Unix())
	})
}
