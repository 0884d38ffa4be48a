package statstest

import (
	"math"

	"relcheck/checker/stats/rollup"
)

// exempt reports whether a value may differ from the truth: either it depends on the
// order of two estimates that are nearly equal, or another check covers it.
func (c *comparison) exempt(column string, i int, got, want []any) bool {
	switch c.table.Name + "." + column {
	case "releases.half":
		return got[i] != want[i] && c.mayBeHalf(want[0].(string), got[i])
	case "lifetimes.started", "lifetimes.again":
		n, ok := got[i].(int64)
		return ok && n >= want[i].(int64) && n <= want[i].(int64)+c.truth.maybeRestartsOn(want[0].(rollup.Day))
	case "lifetimes.share":
		return toFloat(got[1]) > 0 && within(got[3], toFloat(got[2])/toFloat(got[1]), 1e-9)
	case "heap_above.instance_days", "heap_above.day_share":
		return c.isAbove(toFloat(want[0]), got)
	case "heap_change.low", "heap_change.high": // combined from four percentiles, each of which has an error
		return got[i] != nil && want[i] != nil && within(got[i], want[i], 5*heapError*(1+math.Abs(toFloat(want[i])))) || c.truth.sampled
	case "heap_change.certain":
		return got[i] != nil && want[i] != nil && got[i] == (toFloat(got[i-2]) > 0 || toFloat(got[i-1]) < 0)
	case "platforms.version":
		name, _ := got[i].(string)
		counts := c.truth.versionsOn(want[0].(string) + "/" + want[1].(string))
		return mayBeMost(counts, name)
	}
	return false
}

// mayBeMost reports whether a name's count is the highest within the allowed errors.
func mayBeMost(counts map[string]used, name string) bool {
	for _, n := range counts {
		switch own := counts[name]; {
		case n.installations > own.installations:
			return false
		case n.installations == own.installations && float64(n.instances) > float64(own.instances)+2*countTolerance(n.instances):
			return false
		}
	}
	return counts[name].instances+counts[name].installations > 0
}

// mayBeHalf reports whether a number of days after a release may be the first day on
// which half of the instances ran it. The share on that day must be half within the
// allowed error, and on all days before it may be less than half within that error.
func (c *comparison) mayBeHalf(name string, got any) bool {
	t := c.truth
	r := t.releases.find(name)
	if r == nil || t.remembers() || !t.mayHaveHalf(*r) { // installations are exact
		return false
	}
	first := rollup.DayOf(r.Date)
	for d := first; d <= min(t.dailyRange.To, t.today-1); d++ {
		share, ok := t.adoptedShare(*r, d).(float64)
		tolerance := shareError
		if sum(t.daily[d]) < estimatedFrom {
			tolerance = 0
		}
		if ok && got == int64(d-first) {
			return share >= 0.5-tolerance
		}
		if ok && share >= 0.5+tolerance && share >= 0.5 {
			return false
		}
	}
	return got == nil
}

// maybeExtreme reports whether a table may have a row or not: one of heap_above whose limit
// all heaps exceed, or none, but for those in the bucket of the limit or not in the sample.
func (c *comparison) maybeExtreme(row []any) bool {
	if c.table.Name != "heap_above" || !c.truth.remembers() {
		return false
	}
	share := toFloat(row[4])
	return min(share, 1-share) < 0.002
}

// isAbove reports whether a row may count the instance-days with a heap above a limit. Those
// in the bucket of the limit need not count.
func (c *comparison) isAbove(limit float64, got []any) bool {
	const bucket = (1 + heapError) / (1 - heapError)
	n, all := toFloat(got[3]), toFloat(c.truth.heapsBetween(-1, math.Inf(1)))
	slack := hashError * all
	if c.truth.sampled {
		slack = sampleError * all
	}
	least, most := toFloat(c.truth.heapsBetween(limit*bucket, math.Inf(1))), toFloat(c.truth.heapsBetween(limit, math.Inf(1)))
	return n >= least-slack && n <= most+slack && within(got[4], n/all, max(1e-9, 2*slack/all))
}

// compareHistogram checks the heap histogram, whose bars are the view's choice. The bars
// must be adjacent and about equally wide, and each must have the number of
// instance-days that the truth has. The instance-days in a bucket that an edge divides
// may count in either bar; a bucket is 2 % wide.
func (c *comparison) compareHistogram() {
	var all int64
	var ratio, slack float64 // ratio of the two edges of a bar; sampling error of its count
	total := c.truth.heapsBetween(-1, math.Inf(1))
	for _, row := range c.table.Rows {
		if !c.checkTypes(row) {
			return
		}
		all += row[2].(int64)
	}
	slack = hashError * float64(total)
	if c.truth.sampled {
		slack = sampleError / 2 * float64(total)
	}
	if !within(all, total, 2*slack) {
		c.addf("got %d instance-days in all bars, want %d", all, total)
	}
	for i, row := range c.table.Rows {
		from, to, n := toFloat(row[0]), toFloat(row[1]), row[2].(int64)
		if i > 0 && from != toFloat(c.table.Rows[i-1][1]) {
			c.addf("got a bar from %v, want it from %v, the end of the bar before", from, c.table.Rows[i-1][1])
		}
		switch {
		case i == 0 && from == 0:
		case ratio == 0:
			ratio = to / from
		case !within(to/from, ratio, ratio/50):
			c.addf("got a bar from %v to %v, want it as wide as the others", from, to)
		}
		const bucket = (1 + heapError) / (1 - heapError)
		least := c.truth.heapsBetween(from*bucket, to/bucket)
		most := c.truth.heapsBetween(from/bucket-1, to*bucket)
		if float64(n) < float64(least)-slack || float64(n) > float64(most)+slack {
			c.addf("got %d instance-days from %v to %v, want %d to %d", n, from, to, least, most)
		}
		if !within(row[3], float64(n)/float64(all), 1e-9) {
			c.addf("got a share of %v from %v to %v, want %d of %d", row[3], from, to, n, all)
		}
	}
	if n := len(c.table.Rows); n > 45 || n < 15 && total > 10_000 {
		c.addf("got %d bars, want at most 45, and at least 15 for more than 10,000 instance-days", n)
	}
}

// checkTypes reports whether a row has a value of the right type in each column.
func (c *comparison) checkTypes(row []any) bool {
	ok := len(row) == len(c.table.Columns)
	for i, value := range row {
		ok = ok && hasKind(value, c.table.Columns[i].Kind)
	}
	if !ok {
		c.addf("got row %v, want a value of the right type in each column", row)
	}
	return ok
}

// percentileNamed returns the quantile of a percentile's name, such as 0.95 for p95.
func percentileNamed(name any) float64 {
	for _, p := range percentiles {
		if p.name == name {
			return p.q
		}
	}
	return math.NaN()
}
