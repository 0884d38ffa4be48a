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

// testClock is the wall clock and the monotonic clock of a machine.
type testClock struct {
	wall    time.Time
	elapsed time.Duration
}

func (c *testClock) clock() db.Clock {
	return db.Clock{Wall: func() time.Time { return c.wall }, Elapsed: func() time.Duration { return c.elapsed }}
}

// advance moves both clocks by d, and the wall clock also by jump.
func (c *testClock) advance(d, jump time.Duration) {
	c.elapsed += d
	c.wall = c.wall.Add(d + jump)
}

// sweepTest is a store with four expired reports, and the sweeper that removes them.
type sweepTest struct {
	t *testing.T
	s *db.Store
	testClock
	log   bytes.Buffer
	sweep func(context.Context) error
}

// newSweepTest returns a store whose reports have all expired. The test's clock is slow by the
// given duration.
func newSweepTest(t *testing.T, name string, behind time.Duration) *sweepTest {
	s := open(t, name)
	recordDaily(t, s, time.Now().AddDate(0, 0, -60), 3)
	fold(t, s)
	c := &sweepTest{t: t, s: s, testClock: testClock{wall: time.Now().Add(-behind)}}
	c.start()
	return c
}

// start starts a new sweeper, as a new server does.
func (c *sweepTest) start() {
	keep := db.Retention{Reports: 30 * 24 * time.Hour, Clock: c.clock()}
	c.sweep = c.s.NewSweeper(keep, slog.New(slog.NewTextHandler(&c.log, nil)))
}

// step advances the clocks in steps of up to a minute, and sweeps after each.
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

// jump changes the wall clock and sweeps five seconds later.
func (c *sweepTest) jump(by time.Duration) {
	c.t.Helper()
	c.advance(0, by)
	c.step(5 * time.Second)
}

func (c *sweepTest) checkReports(when string, want int) {
	c.t.Helper()
	if n := len(recorded(c.t, c.s, "opa")); n != want {
		c.t.Errorf("%s: got %d reports, want %d", when, n, want)
	}
}

// Reports are only removed once the wall clock has kept pace with the monotonic clock for an
// hour.
func testClockJumps(t *testing.T, name string) {
	c := newSweepTest(t, name, 30*time.Hour)
	c.step(30 * time.Minute)
	c.checkReports("30 minutes after the start", 4)
	c.jump(23 * time.Hour)
	c.jump(2 * time.Hour)
	c.checkReports("after two jumps of less than a day", 4)
	c.step(59 * time.Minute)
	c.checkReports("59 minutes after a jump", 4)
	c.jump(-26 * time.Hour)
	c.step(50 * time.Minute)
	c.checkReports("50 minutes after a jump back", 4)
	for range 30 { // small jumps add up
		c.step(2 * time.Minute)
		c.jump(4 * time.Minute)
	}
	c.checkReports("after many small jumps", 4)
	if n := strings.Count(c.log.String(), "the clock jumped"); n < 3 {
		t.Errorf("got %d clock jumps in the log, want at least 3:\n%s", n, c.log.String())
	}
	c.start()
	c.step(59 * time.Minute)
	c.start()
	c.step(59 * time.Minute)
	c.checkReports("within an hour of a start", 4)
	c.jump(time.Since(c.wall) - 62*time.Minute) // stay close to the real time, which PostgreSQL uses
	c.step(61 * time.Minute)
	c.checkReports("an hour after the last jump", 0)
	if c.wall.After(time.Now().Add(time.Minute)) {
		t.Fatalf("the test's clock is in the future: %v", c.wall)
	}
}

// A slightly fast clock and small corrections do not stop the removal of expired reports.
func testClockDrift(t *testing.T, name string) {
	c := newSweepTest(t, name, time.Hour)
	for range 12 {
		c.step(5*time.Minute + 10*time.Second)
		c.advance(0, 5*time.Second)
	}
	c.checkReports("after an hour", 0)
	if text := c.log.String(); text != "" {
		t.Errorf("got this log, want it empty:\n%s", text)
	}
}

// A server whose clock differs from that of the database removes nothing. Other servers with
// a correct clock do.
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
				t.Errorf("clock off by %v: got error %v, want \"correct the wrong one\"", off, err)
			}
		}
		wrong.checkReports("with a wrong clock", 4)
	}
	if _, err := raw(t, name).Exec("UPDATE report SET at = $1", time.Now().AddDate(0, 0, -31).Unix()); err != nil {
		t.Fatal(err)
	}
	right.step(62 * time.Minute)
	right.checkReports("with a correct clock", 0)
}
