package fleet

import (
	"math"

	"relcheck/checker/stats"
)

// sample is what the instance-days of a version or a line say about the heaps of all
// there could be.
type sample struct {
	heaps     []int64 // from the lowest up
	tellers   float64 // instances that reported one
	squares   float64 // of the days on which each instance did, added up
	days      float64 // on which any instance reported
	estimated float64 // ids of builds that have so many that they may be estimated
}

// sampleOf counts what is known of one.
func (t *Truth) sampleOf(name string) *sample {
	if s := t.samples[name]; s != nil {
		return s
	}
	s := &sample{heaps: t.heapsOfVersion(name), tellers: float64(t.idsOf(name))}
	t.samples[name] = s
	called, of := t.called(name), make([]bool, len(t.kept))
	for build := range of {
		of[build] = t.kept[build] && called(build)
	}
	days, told := map[stats.Day]bool{}, map[int32]map[int64]bool{}
	for _, v := range t.visits(t.query.Range) {
		if of[t.log.ids[v.id].build] {
			days[v.day] = true
		}
	}
	for _, h := range t.heard(t.query.Range) {
		if h.heap >= 0 && of[t.log.ids[h.id].build] {
			if told[h.id] == nil {
				told[h.id] = map[int64]bool{}
			}
			told[h.id][h.at/day] = true
		}
	}
	for _, on := range told {
		s.squares += float64(len(on) * len(on))
	}
	s.days = float64(len(days))
	for build, n := range t.ids {
		if of[build] && n >= few {
			s.estimated += float64(n)
		}
	}
	return s
}

// around returns the logarithms of the heaps between which a percentile lies, in
// 95 of 100 cases, and how many observations lie beyond it. The ids may be off
// by a share of those that are estimated.
func (s *sample) around(q, off float64) (low, high, beyond float64) {
	spread, beyond := s.spread(q, off)
	spread *= 1 + (off-idsMargin)*hair // of two heaps side by side, either will do
	at := func(q float64) float64 { return math.Log(quantile(s.heaps, min(1, max(0, q))).(float64)) }
	return at(q - spread), at(q + spread), beyond
}

// spread takes each instance for one that was there on all days; or else, it takes
// all instance-days but the first of each instance for lost.
func (s *sample) spread(q, off float64) (spread, beyond float64) {
	doubt, heaps, tail := off*s.estimated, float64(len(s.heaps)), min(q, 1-q)
	size := min(s.tellers, heaps/s.days)
	spread, beyond = 1.96*math.Sqrt(q*(1-q)/size), size*tail
	more := max(0, 1-(s.tellers-doubt)/heaps)
	if other := 1.96*math.Sqrt(q*(1-q)/s.tellers) + more; other < spread {
		return other, s.tellers * (tail - more)
	}
	return spread, beyond
}

// worth is how many instances that were there on one day each would say as much
// about any share of all heaps, if an instance reported the same one always.
func (s *sample) worth() float64 {
	n := float64(len(s.heaps))
	return n * n / s.squares
}

// interval checks that of a change: it holds the change, is as wide as the view
// has to make it by what is known of it, is wide enough for what each id has
// told, and is said to be certain when that is so.
func (c *comparison) interval(row []any) {
	q := quantileOf(row[0])
	old, is := c.truth.sampleOf(row[1].(string)), c.truth.sampleOf(row[2].(string))
	certain, _ := row[8].(bool)
	beyond := func(off float64) float64 {
		_, _, a := old.around(q, off)
		_, _, b := is.around(q, off)
		return min(a, b)
	}
	low, high, change := number(row[6]), number(row[7]), number(row[5])
	switch want := low > 0 || high < 0; {
	case certain && beyond(0) < 5-hair:
		c.report("%v is certain, with %.1f observations beyond it", row, beyond(0))
	case certain && !want, want && !certain && beyond(mostOff) > 5+hair && !c.truth.sampled:
		c.report("%v is certain: %v", row, certain)
	}
	least, most := c.change(row, q, mostOff)
	if row[6] == nil && row[7] == nil && !(math.Abs(least)+math.Abs(most) < math.Inf(1)) {
		return // a heap of 0 has no logarithm
	}
	if !(low <= change && change <= high) {
		c.report("%v does not hold its change", row)
	}
	if !c.truth.sampled {
		c.width(row, q)
	}
}

const (
	// mostOff is by which share ids that are estimated may be taken to be off.
	mostOff = 2 * idsMargin
	// hair is what may be decided by the last digits.
	hair = 1e-6
)

// width checks that the interval is as wide as the errors of two independent
// samples make it, in logarithms, with what the rounding of five heaps may add.
func (c *comparison) width(row []any, q float64) {
	low, high := math.Log(1+number(row[6])), math.Log(1+number(row[7]))
	leastLow, mostHigh := c.change(row, q, mostOff)
	mostLow, leastHigh := c.change(row, q, 0)
	const slack = 5 * heapMargin
	if !(leastLow-slack <= low && low <= mostLow+slack && leastHigh-slack <= high && high <= mostHigh+slack) {
		c.report("%v is from %.3f to %.3f in logarithms, want %.3f or %.3f to %.3f or %.3f", row, low, high, leastLow, mostLow, leastHigh, mostHigh)
	}
	for _, name := range row[1:3] {
		s := c.truth.sampleOf(name.(string))
		if spread, _ := s.spread(q, 0); spread < 0.97*1.96*math.Sqrt(q*(1-q)/s.worth()) {
			c.report("%v takes %.3f of all for an interval of %.0f ids", row, spread, s.worth())
		}
	}
}

// change is between what that of a percentile lies, in logarithms.
func (c *comparison) change(row []any, q, off float64) (low, high float64) {
	lowBefore, highBefore, _ := c.truth.sampleOf(row[1].(string)).around(q, off)
	lowAfter, highAfter, _ := c.truth.sampleOf(row[2].(string)).around(q, off)
	before, after := math.Log(number(row[3])), math.Log(number(row[4]))
	d := math.Log(1 + number(row[5]))
	return d - math.Hypot(after-lowAfter, highBefore-before), d + math.Hypot(highAfter-after, before-lowBefore)
}
