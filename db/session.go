package db

import (
	"context"
	"database/sql"
	"time"

	"relcheck/checker/access"
)

const (
	// maxGrantsOfToken is the number of sessions that one token can have at a time,
	// and of sign-in links. The oldest ones make room for new ones.
	maxGrantsOfToken = 100
	// maxGrants is the same for all tokens together.
	maxGrants = 10_000
)

// AddLink stores a new sign-in link.
func (s *Store) AddLink(ctx context.Context, link access.Grant) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if err := insertGrant(ctx, tx, "link", link); err != nil {
			return err
		}
		return s.audit(ctx, tx, linkAdded, "", link.TokenID)
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
