package statstest

import (
	"math"

	"relcheck/checker/stats/rollup"
)

// sample describes the instance-days of a version or a minor line as a sample of the
// heap sizes that are possible.
type sample struct {
	heaps         []int64 // sorted
	heapInstances float64 // number of instances that reported a heap size
	sumSquares    float64 // sum of the squares of the number of days with a heap size per instance
	days          float64 // days on which any instance reported
	estimated     float64 // instances of builds whose count may be an estimate
}

// sampleOf returns the sample of a version or a minor line.
func (t *Truth) sampleOf(name string) *sample {
	if s := t.samples[name]; s != nil {
		return s
	}
	s := &sample{heaps: t.heapsOfVersion(name), heapInstances: float64(t.heapInstancesOf(name))}
	t.samples[name] = s
	matches, include := t.matcher(name), make([]bool, len(t.matched))
	for build := range include {
		include[build] = t.matched[build] && matches(build)
	}
	days, heapDays := map[rollup.Day]bool{}, map[int32]map[rollup.Day]bool{}
	for _, a := range t.activeDaysIn(t.query.Range) {
		if include[t.log.instances[a.instance].build] {
			days[a.day] = true
		}
	}
	for _, r := range t.reportsIn(t.query.Range) {
		if r.heap >= 0 && include[t.log.instances[r.instance].build] {
			if heapDays[r.instance] == nil {
				heapDays[r.instance] = map[rollup.Day]bool{}
			}
			heapDays[r.instance][dayOf(r.at)] = true
		}
	}
	for _, on := range heapDays {
		s.sumSquares += float64(len(on) * len(on))
	}
	s.days = float64(len(days))
	for build, n := range t.instances {
		if include[build] && n >= estimatedFrom {
			s.estimated += float64(n)
		}
	}
	return s
}

// bounds returns the logarithms of the heap sizes between which a percentile lies with
// 95 % confidence, and the number of independent observations beyond the percentile.
// Estimated counts may be wrong by the relative error countErr.
func (s *sample) bounds(q, countErr float64) (low, high, beyond float64) {
	margin, beyond := s.rankMargin(q, countErr)
	margin *= 1 + (countErr-countError)*epsilon // allows either of two adjacent heap sizes
	logHeap := func(q float64) float64 { return math.Log(quantile(s.heaps, min(1, max(0, q))).(float64)) }
	return logHeap(q - margin), logHeap(q + margin), beyond
}

// rankMargin returns how far, as a share of all, the rank of a percentile may be from
// its true rank. It uses the better of two bounds. The first assumes that each instance
// was active on every day. The second counts one observation per instance and ignores
// all further instance-days.
func (s *sample) rankMargin(q, countErr float64) (margin, beyond float64) {
	doubt, heaps, tail := countErr*s.estimated, float64(len(s.heaps)), min(q, 1-q)
	size := min(s.heapInstances, heaps/s.days)
	margin, beyond = 1.96*math.Sqrt(q*(1-q)/size), size*tail
	further := max(0, 1-(s.heapInstances-doubt)/heaps)
	if other := 1.96*math.Sqrt(q*(1-q)/s.heapInstances) + further; other < margin {
		return other, s.heapInstances * (tail - further)
	}
	return margin, beyond
}

// effectiveSize returns Kish's effective sample size: the number of instances that
// were each active on one day and would determine a share as well as this sample does,
// if each instance always reported the same heap size.
func (s *sample) effectiveSize() float64 {
	n := float64(len(s.heaps))
	return n * n / s.sumSquares
}

// checkInterval checks the confidence interval of a change of a percentile. The
// interval must contain the change, must be as wide as the view's formula requires and
// wide enough for the number of heap sizes per instance, and must count as certain only
// if it excludes zero and there are enough observations.
func (c *comparison) checkInterval(row []any) {
	q := percentileNamed(row[0])
	before, after := c.truth.sampleOf(row[1].(string)), c.truth.sampleOf(row[2].(string))
	certain, _ := row[8].(bool)
	beyond := func(countErr float64) float64 {
		_, _, a := before.bounds(q, countErr)
		_, _, b := after.bounds(q, countErr)
		return min(a, b)
	}
	low, high, change := toFloat(row[6]), toFloat(row[7]), toFloat(row[5])
	switch excludesZero := low > 0 || high < 0; {
	case certain && beyond(0) < 5-epsilon:
		c.addf("got %v as certain, want it uncertain: it has %.1f observations beyond the percentile", row, beyond(0))
	case certain && !excludesZero, excludesZero && !certain && beyond(maxCountError) > 5+epsilon && !c.truth.sampled:
		c.addf("%v: got certain %v, want %v", row, certain, !certain)
	}
	least, most := c.changeBounds(row, q, maxCountError)
	if row[6] == nil && row[7] == nil && !(math.Abs(least)+math.Abs(most) < math.Inf(1)) {
		return // a heap size of 0 has no logarithm
	}
	if !(low <= change && change <= high) {
		c.addf("got interval %v to %v, want it to contain the change: %v", row[6], row[7], row)
	}
	if !c.truth.sampled {
		c.checkWidth(row, q)
	}
}

const (
	// maxCountError is the largest relative error of counts that the view may assume.
	maxCountError = 2 * countError
	// epsilon is the tolerance for rounding errors.
	epsilon = 1e-6
)

// checkWidth checks that, in logarithms, the interval is as wide as the errors of two
// independent samples make it, plus the rounding of five heap sizes.
func (c *comparison) checkWidth(row []any, q float64) {
	low, high := math.Log(1+toFloat(row[6])), math.Log(1+toFloat(row[7]))
	leastLow, mostHigh := c.changeBounds(row, q, maxCountError)
	mostLow, leastHigh := c.changeBounds(row, q, 0)
	const slack = 5 * heapError
	if !(leastLow-slack <= low && low <= mostLow+slack && leastHigh-slack <= high && high <= mostHigh+slack) {
		c.addf("%v: got logarithms %.3f to %.3f, want %.3f or %.3f to %.3f or %.3f", row, low, high, leastLow, mostLow, leastHigh, mostHigh)
	}
	for _, name := range row[1:3] {
		s := c.truth.sampleOf(name.(string))
		if margin, _ := s.rankMargin(q, 0); margin < 0.97*1.96*math.Sqrt(q*(1-q)/s.effectiveSize()) {
			c.addf("%v: got a margin of %.3f, want one for %.0f instances", row, margin, s.effectiveSize())
		}
	}
}

// changeBounds returns the logarithms between which the change of a percentile lies.
func (c *comparison) changeBounds(row []any, q, countErr float64) (low, high float64) {
	lowBefore, highBefore, _ := c.truth.sampleOf(row[1].(string)).bounds(q, countErr)
	lowAfter, highAfter, _ := c.truth.sampleOf(row[2].(string)).bounds(q, countErr)
	before, after := math.Log(toFloat(row[3])), math.Log(toFloat(row[4]))
	change := math.Log(1 + toFloat(row[5]))
	return change - math.Hypot(after-lowAfter, highBefore-before), change + math.Hypot(highAfter-after, before-lowBefore)
}
