package public

import (
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"relcheck/checker/stats/rollup"
)

var monday = rollup.OneWeek.Start(rollup.DayOf(time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)))

func ofLine(line string) func() Cell { return func() Cell { return Cell{line, "linux", "amd64"} } }

// few is a number of products at which only n networks of each are counted.
func few(n int) func() int { return func() int { return maxTotal / n } }

func one() int { return 1 }

// store keeps what counters write, like package db.
type store struct {
	runs   map[int64]Run
	counts map[int64]Cells // of product 1
}

func newStore() *store { return &store{map[int64]Run{}, map[int64]Cells{}} }

func (s *store) write(r Run, changed map[int64]Cells) error {
	s.runs[r.ID] = r
	if cells, ok := changed[1]; ok {
		s.counts[r.ID] = cells
	}
	return nil
}

func (s *store) week() *Week {
	w := &Week{First: monday, Counts: s.counts}
	for _, r := range s.runs {
		if monday <= r.Day && r.Day < monday+7 {
			w.Runs = append(w.Runs, r)
		}
	}
	return w
}

// TestCounter checks that the first report of a network on a day counts, and only that.
func TestCounter(t *testing.T) {
	at := monday.Time()
	c, s := NewCounter(at, one), newStore()
	for _, report := range []struct{ from, line string }{
		{"192.0.2.1", "v1.0"}, {"192.0.2.255", "v1.1"}, {"192.0.3.1", "v1.1"},
		{"2001:db8:1::1", "v1.1"}, {"2001:db8:1:ffff::1", "v1.0"}, {"2001:db8:2::1", "other"},
	} {
		c.Add(1, netip.MustParseAddr(report.from), ofLine(report.line))
	}
	c.Add(2, netip.MustParseAddr("192.0.2.1"), ofLine("v9"))
	c.Add(1, netip.Addr{}, ofLine("v2.0"))
	c.Tick(at.Add(24*time.Hour), one)
	c.Add(1, netip.MustParseAddr("192.0.2.1"), ofLine("v1.1"))
	c.Tick(at.Add(25*time.Hour), one)
	if err := c.Write(s.write); err != nil {
		t.Fatal(err)
	}
	sum, seconds := s.week().sum()
	if want := map[string]int64{"v1.0": 1, "v1.1": 3, "other": 1, "v2.0": 1}; !maps.Equal(sum.Lines, want) || seconds != 25*3600 {
		t.Errorf("got lines %v in %d seconds, want %v in 25 hours", sum.Lines, seconds, want)
	}
	if sum.OS["linux"] != 6 || sum.Arch["amd64"] != 6 {
		t.Errorf("got %v, want 6 in each table", sum)
	}
}

// TestCounterFull checks that a full set ignores later networks.
func TestCounterFull(t *testing.T) {
	c, s := NewCounter(monday.Time(), few(2)), newStore()
	for i, line := range []string{"a", "b", "c", "a"} {
		c.Add(1, netip.AddrFrom4([4]byte{10, 0, byte(i), 1}), ofLine(line))
	}
	c.Write(s.write)
	if sum, _ := s.week().sum(); !maps.Equal(sum.Lines, map[string]int64{"a": 1, "b": 1}) {
		t.Errorf("got %v, want the first two networks", sum.Lines)
	}
}

// TestCounterWriteFails checks that what could not be written is written later.
func TestCounterWriteFails(t *testing.T) {
	c, s := NewCounter(monday.Time(), one), newStore()
	c.Add(1, netip.MustParseAddr("192.0.2.1"), ofLine("a"))
	c.Tick(monday.Time().Add(24*time.Hour), one)
	c.Add(1, netip.MustParseAddr("192.0.2.1"), ofLine("b"))
	fails := errors.New("no space")
	if err := c.Write(func(Run, map[int64]Cells) error { return fails }); !errors.Is(err, fails) {
		t.Errorf("got error %v, want %v", err, fails)
	}
	for range 2 {
		if err := c.Write(s.write); err != nil {
			t.Fatal(err)
		}
	}
	if sum, _ := s.week().sum(); !maps.Equal(sum.Lines, map[string]int64{"a": 1, "b": 1}) || len(s.runs) != 2 {
		t.Errorf("got %v of %d runs, want one network on each of two days", sum.Lines, len(s.runs))
	}
}

// event is something that happens to one of two processes.
type event struct {
	process int
	tick    time.Duration // of the process's clock, which may be set back
	restart bool          // the process is killed and starts again
	write   bool
	network byte // 0 is the network that is left out
	line    string
}

// play returns the sums of a week after events. The function keep may change or leave out reports
// of network 0. Runs get the same identifiers each time, so that the choice among runs of equal
// length is the same.
func play(events []event, limit int, keep func(e *event) bool) (Cells, int64) {
	s := newStore()
	var counters [2]*Counter
	var clocks [2]time.Time
	start := func(i int) {
		counters[i] = NewCounter(clocks[i], few(limit))
	}
	ids := int64(0)
	named := map[int64]int64{}
	write := func(r Run, changed map[int64]Cells) error {
		if named[r.ID] == 0 {
			ids++
			named[r.ID] = ids
		}
		r.ID = named[r.ID]
		return s.write(r, changed)
	}
	for i := range counters {
		clocks[i] = monday.Time()
		start(i)
	}
	for _, e := range events {
		c := counters[e.process]
		switch {
		case e.restart:
			start(e.process)
		case e.write:
			c.Write(write)
		case e.tick != 0:
			clocks[e.process] = clocks[e.process].Add(e.tick)
			c.Tick(clocks[e.process], few(limit))
		case e.network != 0 || keep(&e):
			c.Add(1, netip.AddrFrom4([4]byte{10, 0, e.network, 1}), func() Cell { return Cell{e.line, "os of " + e.line, "arch of " + e.line} })
		}
	}
	for _, c := range counters {
		c.Write(write)
	}
	return s.week().sum()
}

func always(*event) bool { return true }
func never(*event) bool  { return false }

// TestScale checks the arithmetic of Scale: whatever happens in a week, leaving out or changing the
// reports of one network changes all cells by at most Scale in sum. Two processes restart, are
// killed before they write, have clocks that jump, and their sets are full.
func TestScale(t *testing.T) {
	most := int64(0)
	rapid.Check(t, func(t *rapid.T) {
		anything := rapid.Custom(func(t *rapid.T) event {
			e := event{process: rapid.IntRange(0, 1).Draw(t, "process")}
			switch rapid.IntRange(0, 11).Draw(t, "kind") {
			case 0:
				e.restart = true
			case 1:
				e.write = true
			case 2, 3:
				e.tick = time.Duration(rapid.IntRange(-30, 60).Draw(t, "hours")) * time.Hour
			default:
				e.network = byte(rapid.IntRange(0, 4).Draw(t, "network"))
				e.line = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "line")
			}
			return e
		})
		events, limit := rapid.SliceOfN(anything, 0, 200).Draw(t, "events"), rapid.IntRange(1, 4).Draw(t, "limit")
		with, seconds := play(events, limit, always)
		reports := 0
		some := func(e *event) bool { // other reports, at some of the times
			e.line = "z"
			reports++
			return reports%3 == 0
		}
		for name, keep := range map[string]func(*event) bool{"no": never, "other": some} {
			other, again := play(events, limit, keep)
			if seconds != again {
				t.Fatalf("%s reports: got %d seconds, want %d", name, again, seconds)
			}
			change := distance(with, other)
			if most = max(most, change); change > Scale {
				t.Fatalf("%s reports: got a change of %d, want at most %d:\n%v\n%v", name, change, Scale, with, other)
			}
		}
	})
	if most == 0 {
		t.Error("the network never changed anything")
	}
	var worst []event // each day, the network is first and another one is last
	for range 7 {
		for network := range byte(3) {
			worst = append(worst, event{network: network, line: string('a' + rune(network))})
		}
		worst = append(worst, event{tick: 23 * time.Hour}, event{tick: time.Hour})
	}
	with, _ := play(worst, 2, always)
	without, _ := play(worst, 2, never)
	if got := distance(with, without); got != Scale {
		t.Errorf("the worst week: got a change of %d, want %d", got, Scale)
	}
}

// distance returns the sum of the differences of all cells.
func distance(a, b Cells) (sum int64) {
	for i, table := range a.tables() {
		names := slices.Collect(maps.Keys(table))
		for name := range b.tables()[i] {
			if _, ok := table[name]; !ok {
				names = append(names, name)
			}
		}
		for _, name := range names {
			sum += max(table[name]-b.tables()[i][name], b.tables()[i][name]-table[name])
		}
	}
	return sum
}

// TestRunsAreChosenByTime checks that a longer run without reports supplies the day, because a
// choice that reports can change would reveal them.
func TestRunsAreChosenByTime(t *testing.T) {
	w := &Week{First: monday, Runs: []Run{{1, monday, 3600}, {2, monday, 3601}, {3, monday + 1, 5}, {4, monday + 1, 5}},
		Counts: map[int64]Cells{1: {Lines: map[string]int64{"a": 9}}, 4: {Lines: map[string]int64{"b": 9}}}}
	sum, seconds := w.sum()
	if len(sum.Lines) != 0 || seconds != 3606 {
		t.Errorf("got %v in %d seconds, want nothing in 3606", sum.Lines, seconds)
	}
	slices.Reverse(w.Runs)
	if again, _ := w.sum(); !reflect.DeepEqual(again, sum) {
		t.Errorf("in another order: got %v, want %v", again, sum)
	}
}

func BenchmarkAdd(b *testing.B) {
	c, client := NewCounter(time.Now(), one), netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		c.Add(1, client, ofLine("a"))
	}
}
