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

// clockMonitor decides whether to trust the wall clock. It cannot detect changes from
// before the process started.
type clockMonitor struct {
	began   bool
	trusted bool
	wall    time.Time // when the current hour began
	elapsed time.Duration
}

// observe compares the clocks; it is called every few seconds. If the wall clock has
// jumped, it returns by how much, and the hour begins again.
func (m *clockMonitor) observe(wall time.Time, elapsed time.Duration) (jump time.Duration) {
	since := elapsed - m.elapsed
	drift := wall.Sub(m.wall) - since
	switch {
	case !m.began:
		*m = clockMonitor{began: true, wall: wall, elapsed: elapsed}
	case drift.Abs() > maxDrift:
		*m = clockMonitor{began: true, wall: wall, elapsed: elapsed}
		return drift
	case since >= trustAfter:
		*m = clockMonitor{began: true, trusted: true, wall: wall, elapsed: elapsed}
	}
	return 0
}

// sweeper removes expired rows once the clock can be trusted.
type sweeper struct {
	store *Store
	keep  Retention
	log   *slog.Logger
	clock clockMonitor
}

// sweep removes what has expired. It also overwrites rows that were deleted earlier and
// could not be overwritten then.
func (s *sweeper) sweep(ctx context.Context) error {
	return errors.Join(s.expire(ctx), s.store.explain(s.store.eraseDeleted(ctx)))
}

func (s *sweeper) expire(ctx context.Context) error {
	wall, elapsed := s.keep.Clock.read()
	if jump := s.clock.observe(wall, elapsed); jump != 0 {
		s.log.Warn("the clock jumped: deletion paused for one hour", "by", jump.Round(time.Second).String(), "now", wall.UTC())
	}
	if !s.clock.trusted {
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

// checkClock returns an error if a time differs from that of the database: one of several
// servers that share a store may have a wrong clock.
func (s *Store) checkClock(ctx context.Context, wall time.Time) error {
	own, known, err := s.now(ctx)
	if err == nil && known && wall.Sub(own).Abs() > maxDrift {
		err = fmt.Errorf("the clock of this machine is at %s and the clock of the database at %s: correct the wrong one; nothing is removed before",
			wall.UTC().Format(time.DateTime), own.UTC().Format(time.DateTime))
	}
	return s.explain(err)
}
