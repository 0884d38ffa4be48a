package db

import (
	"context"
	"time"
)

// postgres examines a database from reaching it to what is in it.
func (x *examining) postgres(ctx context.Context, dsn string) {
	s, err := dial(ctx, dsn)
	if err != nil {
		x.tell(Problem, "store", "%v", err)
		return
	}
	defer s.Close()
	x.Store = s
	var version string
	now, _, err := s.now(ctx)
	if err == nil {
		err = s.main.QueryRowContext(ctx, "SELECT current_setting('server_version')").Scan(&version)
	}
	if err != nil {
		x.tell(Problem, "store", "%v", postgresError(s.name, err))
		return
	}
	through := ""
	if s.engine.(*postgres).pooled {
		through = " behind a connection pooler"
	}
	x.tell(OK, "database", "PostgreSQL %s at %s%s, which takes writes", version, s.name, through)
	if err := checkDurable(ctx, s.main); err != nil {
		x.tell(Problem, "commits", "%v", err)
	} else {
		x.tell(OK, "commits", "synchronous_commit and fsync are on")
	}
	err = checkSchema(ctx, s.main)
	if pgCode(err) == pgUndefinedTable {
		err = errEmpty
	}
	if err != nil {
		x.tell(Problem, "store", "%v", postgresError(s.name, err))
		return
	}
	if !x.schema(ctx, "it") {
		return
	}
	if off := now.Sub(x.Now).Abs(); off > time.Minute {
		x.tell(Warning, "clock", "PostgreSQL's clock and this machine's are %v apart: set them right", off.Round(time.Second))
	}
	x.serving = true // nothing tells otherwise
	x.contents(ctx)
}
