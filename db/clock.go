package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Clock is what a store decides by how old something is. The zero value reads the
// system's clocks.
type Clock struct {
	Wall    func() time.Time     // the time of day, which may be set and so may jump
	Elapsed func() time.Duration // the time since a fixed moment, which never jumps
}

const (
	// grace is how long the wall clock has to keep pace with elapsed time before
	// anything is removed by it. In this hour an operator can set a wrong clock right.
	trustAfter = time.Hour
	// maxDrift is by how much the clocks may differ within an hour, and by how much
	// the clock of a server may differ from that of its database.
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

// steadiness decides whether the wall clock of this process can be trusted. It does not
// know the time before the process started, in which the clock may have been
// set as well.
type clockMonitor struct {
	began   bool
	trusted bool
	wall    time.Time // of the moment that the next hour is measured from
	elapsed time.Duration
}

// observe compares the clocks. It is called every few seconds. If the wall clock has
// jumped, it returns by how much, and the hour begins again.
func (s *clockMonitor) observe(wall time.Time, elapsed time.Duration) (jump time.Duration) {
	since := elapsed - s.elapsed
	drift := wall.Sub(s.wall) - since
	switch {
	case !s.began:
		*s = clockMonitor{began: true, wall: wall, elapsed: elapsed}
	case drift.Abs() > maxDrift:
		*s = clockMonitor{began: true, wall: wall, elapsed: elapsed}
		return drift
	case since >= trustAfter:
		*s = clockMonitor{began: true, trusted: true, wall: wall, elapsed: elapsed}
	}
	return 0
}

// sweeper removes what a store has kept for long enough, as soon as the clock can be
// trusted.
type sweeper struct {
	store  *Store
	keep   Retention
	log    *slog.Logger
	steady clockMonitor
}

// sweep also overwrites what was removed earlier and could not be overwritten then.
func (s *sweeper) sweep(ctx context.Context) error {
	return errors.Join(s.expire(ctx), s.store.explain(s.store.eraseDeleted(ctx)))
}

func (s *sweeper) expire(ctx context.Context) error {
	wall, elapsed := s.keep.Clock.read()
	if jump := s.steady.observe(wall, elapsed); jump != 0 {
		s.log.Warn("the clock jumped: nothing is removed for an hour", "by", jump.Round(time.Second).String(), "now", wall.UTC())
	}
	if !s.steady.trusted {
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

// checkClock refuses a time that is not that of the database. Of several servers with
// one store, one may have a wrong clock.
func (s *Store) checkClock(ctx context.Context, wall time.Time) error {
	own, known, err := s.now(ctx)
	if err == nil && known && wall.Sub(own).Abs() > maxDrift {
		err = fmt.Errorf("the clock of this machine says %s and that of the database %s: correct the wrong one; until then nothing is removed",
			wall.UTC().Format(time.DateTime), own.UTC().Format(time.DateTime))
	}
	return s.explain(err)
}
