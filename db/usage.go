package db

import (
	"context"
	"time"
)

// Usage describes the store for monitoring.
type Usage struct {
	// Size is the size of the database in bytes, without its write-ahead log.
	Size int64
	// LastReport is the time of the newest report that the statistics contain, which
	// follow within seconds, or zero.
	LastReport time.Time
}

// Usage returns the size of the store and the time of its newest report, of all servers
// that share it.
func (s *Store) Usage(ctx context.Context) (u Usage, err error) {
	if u.Size, err = queryValue[int64](ctx, s.read, s.size); err != nil {
		return u, s.explain(err)
	}
	at, err := queryValue[int64](ctx, s.read, "SELECT COALESCE(MAX(at), 0) FROM fold")
	if at > 0 {
		u.LastReport = time.Unix(at, 0)
	}
	return u, s.explain(err)
}
