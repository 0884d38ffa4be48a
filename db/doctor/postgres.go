package doctor

import (
	"context"
	"time"

	"relcheck/db"
)

func (x *examination) checkPostgres(ctx context.Context, url string) {
	s, err := db.OpenUnchanged(ctx, url)
	if err != nil {
		x.report(Problem, "store", "%v", err)
		return
	}
	defer s.Close()
	x.Store = s
	server, clock, err := s.Server(ctx)
	if err != nil {
		x.report(Problem, "store", "%v", err)
		return
	}
	x.report(OK, "database", "%s at %s, which accepts writes", server, s.Name())
	if err := s.CheckDurable(ctx); err != nil {
		x.report(Problem, "commits", "%v", err)
	} else {
		x.report(OK, "commits", "synchronous_commit and fsync are on")
	}
	if !x.checkSchema(ctx, "the database") {
		return
	}
	if drift := clock.Sub(x.Now).Abs(); drift > time.Minute {
		x.report(Warning, "clock", "the clocks of PostgreSQL and of this machine differ by %v: correct the wrong one", drift.Round(time.Second))
	}
	x.serving = true // nothing shows whether a server runs
	x.checkContents(ctx)
}
