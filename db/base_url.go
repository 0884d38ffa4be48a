package db

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// serverSetting is the beginning of the name of a setting. The rest is the base URL of the
// server that has started last.
const serverSetting = "server "

// BaseURL returns the URL at which clients reach the server that has started last on the
// store, or "" if none has.
func (s *Store) BaseURL(ctx context.Context) (string, error) {
	name, err := queryOne(ctx, s.read, nil, scanValue[string], "SELECT name FROM setting WHERE name LIKE $1", serverSetting+"%")
	return strings.TrimPrefix(name, serverSetting), s.explain(err)
}

// SetBaseURL changes what [Store.BaseURL] returns.
func (s *Store) SetBaseURL(ctx context.Context, base string) error {
	known, err := s.BaseURL(ctx)
	if err != nil || known == base {
		return err
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM setting WHERE name LIKE $1", serverSetting+"%"); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO setting (name, value) VALUES ($1, $2)", serverSetting+base, time.Now().Unix())
		return err
	})
}
