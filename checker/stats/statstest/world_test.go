package statstest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"relcheck/checker/stats/rollup"
	"relcheck/checker/stats/statstest"
)

// TestWorld counts the installations of a simulated world as a service does, and compares
// the counts with the truth: they are exact for installations that lost no answer, and
// within 2 % for all. It also counts them in the ways in which others do.
func TestWorld(t *testing.T) {
	w := statstest.World{Seed: 17, Installations: 50_000, Days: rollup.Range{From: date("2025-01-01")}}
	w.Days.To = w.Days.From + 399
	if reduced() {
		w.Installations = 2_000
	}
	c := countWorld(w)
	compareCounts(t, c)
	t.Log("\n" + c.table(t))
}

func date(s string) rollup.Day {
	d, err := rollup.ParseDay(s)
	if err != nil {
		panic(err)
	}
	return d
}

// worldCount counts a world in several ways, all by the first day of a period.
type worldCount struct {
	days      rollup.Range
	servers   [2]counters // of faultless installations, as two stores have them
	faulty    [2]counters // of the others
	truth     worldTruth  // installations
	exact     worldTruth  // faultless installations
	stateless worldTruth  // processes that cannot remember
	ids       worldTruth  // processes of installations
	flags     flags       // of installations
	pings     pings       // of installations
	noisy     struct {    // with what cannot remember
		flags
		pings
	}
	reports int
}

// maxVersions is more than a world has.
const maxVersions = 32

// counters has counts by day and version.
type counters []rollup.Installations

func newCounters(days rollup.Range) counters { return make(counters, (days.Days()+2)*maxVersions) }

// worldTruth counts what has reported, by period, and the first days of installations.
type worldTruth struct {
	days    rollup.Range
	periods [len(rollup.Spans)]map[rollup.Day]int64
	counters
	last []rollup.Day // by number of installation or process: last day with a report
}

func newWorldTruth(days rollup.Range) (t worldTruth) {
	for i := range t.periods {
		t.periods[i] = map[rollup.Day]int64{}
	}
	t.days, t.counters = days, newCounters(days)
	return t
}

// add counts a report. The days of two servers may differ around midnight; for an
// installation, they never go back.
func (t *worldTruth) add(number int64, version int, day rollup.Day) {
	for int64(len(t.last)) <= number {
		t.last = append(t.last, 0)
	}
	last := t.last[number]
	if day <= last {
		return
	}
	t.last[number] = day
	n := &t.counters[int(day-t.days.From)*maxVersions+version]
	n.Daily++
	for i, span := range rollup.Spans {
		if start := span.Start(day); last < start {
			t.periods[i][start]++
		}
	}
	switch silence := day - last; {
	case last == 0:
		n.New++
	case silence >= 28:
		n.Back28++
		fallthrough
	case silence >= 7:
		n.Back7++
	}
}

// flags counts as Fedora does: each week, an installation flags one report, each with a
// probability of 1:4 until one is flagged.
type flags struct {
	random *rand.Rand
	weeks  map[rollup.Day]int64
	last   lastDays
}

func (f *flags) add(r statstest.Sent) {
	if week := rollup.OneWeek.Start(r.ClientDay); f.random.IntN(4) == 0 && f.last.raise(r.Installation, week) {
		f.weeks[week]++
	}
}

// pings counts one ping a day of each installation.
type pings struct {
	days map[rollup.Day]int64
	last lastDays
}

func (p *pings) add(r statstest.Sent) {
	if p.last.raise(r.Installation, r.ClientDay) {
		p.days[r.ClientDay]++
	}
}

// lastDays has the last day of each installation.
type lastDays []rollup.Day

// raise sets the last day of an installation, and reports whether it was another. Programs
// that cannot remember have none.
func (l *lastDays) raise(installation int32, day rollup.Day) bool {
	if installation < 0 {
		return true
	}
	for len(*l) <= int(installation) {
		*l = append(*l, 0)
	}
	last := (*l)[installation]
	(*l)[installation] = day
	return last != day
}

// highest returns the highest number of pings on a day of a period: their sum would count
// an installation once a day.
func (p *pings) highest(span rollup.Span, first rollup.Day) (n int64) {
	for d := first; d < first+rollup.Day(span); d++ {
		n = max(n, p.days[d])
	}
	return n
}

func countWorld(w statstest.World) *worldCount {
	c := &worldCount{days: w.Days, truth: newWorldTruth(w.Days), exact: newWorldTruth(w.Days), stateless: newWorldTruth(w.Days), ids: newWorldTruth(w.Days)}
	for i := range c.servers {
		c.servers[i], c.faulty[i] = newCounters(w.Days), newCounters(w.Days)
	}
	for _, f := range []*flags{&c.flags, &c.noisy.flags} {
		*f = flags{rand.New(rand.NewPCG(w.Seed, 4)), map[rollup.Day]int64{}, nil}
	}
	for _, p := range []*pings{&c.pings, &c.noisy.pings} {
		*p = pings{map[rollup.Day]int64{}, nil}
	}
	for r := range w.Reports() {
		c.add(r)
	}
	return c
}

func (c *worldCount) add(r statstest.Sent) {
	c.reports++
	day := rollup.Day(r.At / (24 * 60 * 60))
	c.noisy.flags.add(r)
	c.noisy.pings.add(r)
	if r.Installation < 0 {
		c.stateless.add(r.Process, r.Version, day)
		return
	}
	c.flags.add(r)
	c.pings.add(r)
	c.ids.add(r.Process, r.Version, day)
	c.truth.add(int64(r.Installation), r.Version, day)
	counts := c.faulty[r.Server]
	if r.Faultless {
		counts = c.servers[r.Server]
		c.exact.add(int64(r.Installation), r.Version, day)
	}
	counts[int(day-c.days.From)*maxVersions+r.Version].Add(rollup.CountLast(r.Last, day))
}

// counted adds up the counts of servers.
func counted(servers ...counters) (sum counters) {
	sum = make(counters, len(servers[0]))
	for _, counts := range servers {
		for at, n := range counts {
			sum[at].Add(n)
		}
	}
	return sum
}

// inPeriod adds up the installations of a period.
func (c counters) inPeriod(days rollup.Range, span rollup.Span, first rollup.Day) (n int64) {
	from := int(first-days.From) * maxVersions
	for _, sum := range c[from : from+int(span)*maxVersions] {
		switch span {
		case rollup.OneDay:
			n += sum.Daily
		case rollup.OneWeek:
			n += sum.Weekly
		default:
			n += sum.Monthly
		}
	}
	return n
}

func compareCounts(t *testing.T, c *worldCount) {
	exact := counted(c.servers[:]...)
	for i, span := range rollup.Spans {
		for _, p := range c.days.Periods(span) {
			if got, want := exact.inPeriod(c.days, span, p.Day), c.exact.periods[i][p.Day]; got != want {
				t.Errorf("faultless installations in %d days from %s: got %d, want %d", span, p.Day, got, want)
			}
		}
	}
	for at, want := range c.exact.counters {
		got := exact[at]
		got.Weekly, got.Monthly = 0, 0 // compared above
		if got != want {
			t.Errorf("faultless installations of version %d on %s: got %+v, want %+v", at%maxVersions, c.days.From+rollup.Day(at/maxVersions), got, want)
		}
	}
}

// table returns the mean number of installations in a period by each way of counting, and
// its largest error. It fails the test if the error of this scheme is too large.
func (c *worldCount) table(t *testing.T) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d reports; mean of all whole periods, and the largest error of one\n%-36s  %19s  %19s  %19s\n", c.reports, "", "day", "week", "four weeks")
	all := counted(append(c.servers[:], c.faulty[:]...)...)
	line := func(name string, count func(i int, span rollup.Span, first rollup.Day) int64, spans ...rollup.Span) {
		fmt.Fprintf(&b, "%-36s", name)
		for i, span := range rollup.Spans {
			if len(spans) > 0 && !slices.Contains(spans, span) {
				fmt.Fprintf(&b, "  %8s %10s", "-", "")
				continue
			}
			periods, sum, worst := c.days.Periods(span), int64(0), 0.0
			for _, p := range periods {
				got := count(i, span, p.Day)
				sum += got
				if e := float64(got)/float64(c.truth.periods[i][p.Day]) - 1; math.Abs(e) > math.Abs(worst) {
					worst = e
				}
			}
			fmt.Fprintf(&b, "  %8d %+8.1f %%", sum/int64(len(periods)), 100*worst)
			most := 0.02
			if reduced() { // in a small world, few lost answers are a larger share
				most = 0.03
			}
			if name == "this scheme" && math.Abs(worst) > most {
				t.Errorf("installations in %d days: got an error of %.2f %%, want at most %.0f %%", span, 100*worst, 100*most)
			}
		}
		b.WriteByte('\n')
	}
	line("truth", func(i int, _ rollup.Span, first rollup.Day) int64 { return c.truth.periods[i][first] })
	line("this scheme", func(_ int, s rollup.Span, first rollup.Day) int64 { return all.inPeriod(c.days, s, first) })
	line("distinct IDs", func(i int, _ rollup.Span, first rollup.Day) int64 { return c.ids.periods[i][first] })
	line("Fedora's weekly flag, 1:4", func(_ int, _ rollup.Span, first rollup.Day) int64 { return c.flags.weeks[first] }, rollup.OneWeek)
	line("daily ping, highest day", func(_ int, s rollup.Span, first rollup.Day) int64 { return c.pings.highest(s, first) })
	b.WriteString("with the programs that cannot remember, which the others do not tell apart:\n")
	line("distinct IDs", func(i int, _ rollup.Span, first rollup.Day) int64 {
		return c.ids.periods[i][first] + c.stateless.periods[i][first]
	})
	line("Fedora's weekly flag, 1:4", func(_ int, _ rollup.Span, first rollup.Day) int64 { return c.noisy.weeks[first] }, rollup.OneWeek)
	line("daily ping, highest day", func(_ int, s rollup.Span, first rollup.Day) int64 { return c.noisy.highest(s, first) })
	return b.String()
}
