package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Clock measures age and elapsed time. The zero value reads the system's clocks.
type Clock struct {
	Wall    func() time.Time     // time of day, which jumps if it is set
	Elapsed func() time.Duration // time since a fixed moment, which never jumps
}

const (
	// trustAfter is how long the wall clock must agree with elapsed time before it decides
	// what is removed. In this hour an operator can correct a wrong clock.
	trustAfter = time.Hour
	// maxDrift is the largest accepted difference of the two clocks within that hour, and
	// between the clocks of a server and of its database.
	maxDrift = 5 * time.Minute
)

var processStart = time.Now()

func (c Clock) read() (wall time.Time, elapsed time.Duration) {
	wall, elapsed = time.Now(), time.Since(processStart)
	if c.Wall != nil {
		wall = c.Wall()
	}
	if c.Elapsed != nil {
		elapsed = c.Elapsed()
	}
	return wall.Round(0), elapsed
}

// sweeper removes expired rows once the wall clock can be trusted. It cannot detect changes
// of the clock from before the process started.
type sweeper struct {
	store   *Store
	keep    Retention
	log     *slog.Logger
	trusted bool
	wall    time.Time // when the current hour began; zero before the first one
	elapsed time.Duration
}

// sweep removes what has expired. It also overwrites rows that were deleted earlier and
// could not be overwritten then.
func (s *sweeper) sweep(ctx context.Context) error {
	return errors.Join(s.expire(ctx), s.store.explain(s.store.eraseDeleted(ctx)))
}

func (s *sweeper) expire(ctx context.Context) error {
	wall, elapsed := s.keep.Clock.read()
	s.compareClocks(wall, elapsed)
	if !s.trusted {
		return nil
	}
	last, due, err := s.store.due(ctx, wall)
	if err == nil && due {
		err = s.store.checkClock(ctx, wall)
	}
	if err != nil || !due {
		return err
	}
	return s.store.removeExpired(ctx, s.keep, wall, last)
}

// compareClocks decides whether to trust the wall clock. If that has jumped, the hour begins
// again.
func (s *sweeper) compareClocks(wall time.Time, elapsed time.Duration) {
	first, since := s.wall.IsZero(), elapsed-s.elapsed
	drift := wall.Sub(s.wall) - since
	jumped := !first && drift.Abs() > maxDrift
	if jumped {
		s.log.Warn("the clock jumped: deletion paused for one hour", "by", drift.Round(time.Second).String(), "now", wall.UTC())
	}
	if first || jumped || since >= trustAfter {
		s.trusted, s.wall, s.elapsed = !first && !jumped, wall, elapsed
	}
}

// checkClock returns an error if a time differs from that of the database: one of several
// servers that share a store may have a wrong clock.
func (s *Store) checkClock(ctx context.Context, wall time.Time) error {
	if _, ok := s.engine.(*postgres); !ok {
		return nil
	}
	own, err := queryValue[time.Time](ctx, s.read, "SELECT clock_timestamp()")
	if err == nil && wall.Sub(own).Abs() > maxDrift {
		err = fmt.Errorf("the clock of this machine is at %s and the clock of the database at %s: correct the wrong one; nothing is removed before",
			wall.UTC().Format(time.DateTime), own.UTC().Format(time.DateTime))
	}
	return s.explain(err)
}
