package db_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"relcheck/db"
	"relcheck/db/pgtest"
)

// testClock is the two clocks of a machine.
type testClock struct {
	wall    time.Time
	elapsed time.Duration
}

func (c *testClock) clock() db.Clock {
	return db.Clock{Wall: func() time.Time { return c.wall }, Elapsed: func() time.Duration { return c.elapsed }}
}

// pass lets time pass, in which the wall clock is also set by jump.
func (c *testClock) advance(d, jump time.Duration) {
	c.elapsed += d
	c.wall = c.wall.Add(d + jump)
}

// sweepTest is a store with reports that are to be removed, and the server that does so.
type sweepTest struct {
	t *testing.T
	s *db.Store
	testClock
	log   bytes.Buffer
	sweep func(context.Context) error
}

// newSweepTest makes a store in which every report is older than its retention. The
// clock is behind by so much.
func newSweepTest(t *testing.T, name string, behind time.Duration) *sweepTest {
	s := open(t, name)
	recordDaily(t, s, time.Now().AddDate(0, 0, -60), 3)
	fold(t, s)
	c := &sweepTest{t: t, s: s, testClock: testClock{wall: time.Now().Add(-behind)}}
	c.start()
	return c
}

// start is a server's start. It does not know whether the clock was set before.
func (c *sweepTest) start() {
	keep := db.Retention{Reports: 30 * 24 * time.Hour, Clock: c.clock()}
	c.sweep = c.s.NewSweeper(keep, slog.New(slog.NewTextHandler(&c.log, nil)))
}

// step lets time pass as a server sees it, in steps of a minute at most.
func (c *sweepTest) step(d time.Duration) {
	c.t.Helper()
	for d > 0 {
		c.advance(min(d, time.Minute), 0)
		d -= time.Minute
		if err := c.sweep(context.Background()); err != nil {
			c.t.Fatal(err)
		}
	}
}

// jump sets the wall clock. The server notices it within seconds.
func (c *sweepTest) jump(by time.Duration) {
	c.t.Helper()
	c.advance(0, by)
	c.step(5 * time.Second)
}

func (c *sweepTest) checkReports(when string, want int) {
	c.t.Helper()
	if n := len(recorded(c.t, c.s, "opa")); n != want {
		c.t.Errorf("%s: %d reports are left, want %d", when, n, want)
	}
}

// Whatever the clock does, nothing is removed until it has kept pace with elapsed time
// for an hour.
func testClockJumps(t *testing.T, name string) {
	c := newSweepTest(t, name, 30*time.Hour)
	c.step(30 * time.Minute)
	c.checkReports("in the first hour", 4)
	c.jump(23 * time.Hour)
	c.jump(2 * time.Hour)
	c.checkReports("after two jumps of less than a day", 4)
	c.step(59 * time.Minute)
	c.checkReports("59 minutes after a jump", 4)
	c.jump(-26 * time.Hour)
	c.step(50 * time.Minute)
	c.checkReports("50 minutes after a jump back", 4)
	for range 30 { // 4 minutes, again and again
		c.step(2 * time.Minute)
		c.jump(4 * time.Minute)
	}
	c.checkReports("after many small jumps", 4)
	if n := strings.Count(c.log.String(), "the clock jumped"); n < 3 {
		t.Errorf("the log has %d jumps:\n%s", n, c.log.String())
	}
	c.start()
	c.step(59 * time.Minute)
	c.start()
	c.step(59 * time.Minute)
	c.checkReports("within an hour of a start", 4)
	c.jump(time.Since(c.wall) - 62*time.Minute) // PostgreSQL has a clock of its own
	c.step(61 * time.Minute)
	c.checkReports("an hour after the last jump", 0)
	if c.wall.After(time.Now().Add(time.Minute)) {
		t.Fatalf("the test ends with its clock at %v", c.wall)
	}
}

// A clock that is a little fast, or is corrected a little at a time, keeps nothing from
// being removed.
func testClockDrift(t *testing.T, name string) {
	c := newSweepTest(t, name, time.Hour)
	for range 12 {
		c.step(5*time.Minute + 10*time.Second)
		c.advance(0, 5*time.Second)
	}
	c.checkReports("after an hour", 0)
	if text := c.log.String(); text != "" {
		t.Errorf("the log is not empty:\n%s", text)
	}
}

// Of several servers with one database, one may have a wrong clock. It removes nothing
// and does not keep the others from doing so.
func TestServerWithWrongClock(t *testing.T) {
	name := pgtest.Database(t)
	right := newSweepTest(t, name, 62*time.Minute)
	if _, err := raw(t, name).Exec("UPDATE report SET at = $1", time.Now().Add(-time.Hour).Unix()); err != nil {
		t.Fatal(err)
	}
	for _, off := range []time.Duration{40 * 24 * time.Hour, -40 * 24 * time.Hour} {
		wrong := &sweepTest{t: t, s: right.s, testClock: testClock{wall: time.Now().Add(off)}}
		wrong.start()
		for range 3 {
			wrong.advance(30*time.Minute, 0)
			err := wrong.sweep(context.Background())
			if wrong.elapsed > time.Hour && (err == nil || !strings.Contains(err.Error(), "correct the wrong one")) {
				t.Errorf("with a clock that is off by %v: %v", off, err)
			}
		}
		wrong.checkReports("with a wrong clock", 4)
	}
	if _, err := raw(t, name).Exec("UPDATE report SET at = $1", time.Now().AddDate(0, 0, -31).Unix()); err != nil {
		t.Fatal(err)
	}
	right.step(62 * time.Minute)
	right.checkReports("with a right clock", 0)
}
