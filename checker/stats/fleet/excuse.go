package fleet

import (
	"math"

	"relcheck/checker/stats"
)

// excused tells whether a value need not be the truth's, because it follows from
// estimates that were close to one another, or because the view decides it.
func (c *comparison) excused(column string, i int, got, want []any) bool {
	switch c.table.Name + "." + column {
	case "releases.half":
		return got[i] != want[i] && c.halfIsNear(want[0].(string), got[i])
	case "lifetimes.started", "lifetimes.again":
		n, ok := got[i].(int64)
		return ok && n >= want[i].(int64) && n <= want[i].(int64)+c.truth.early(want[0].(stats.Day))
	case "lifetimes.share":
		return number(got[1]) > 0 && near(got[3], number(got[2])/number(got[1]), 1e-9)
	case "platforms.version":
		name, _ := got[i].(string)
		on := c.truth.versionsOn(want[0].(string) + "/" + want[1].(string))
		return isMost(on, name)
	case "heap_change.low", "heap_change.high", "heap_change.certain":
		return true
	}
	return false
}

// isMost tells whether a name's count may pass for the highest of all.
func isMost(counts map[string]int64, name string) bool {
	for _, n := range counts {
		if float64(n) > float64(counts[name])+2*idsAllowed(n) {
			return false
		}
	}
	return counts[name] > 0
}

// halfIsNear tells whether a day after a release may pass for the first on which
// half of the ids ran it: it was half but for the margin, and less than half with
// the margin on all days before.
func (c *comparison) halfIsNear(name string, got any) bool {
	t := c.truth
	r := t.releases.find(name)
	if r == nil || r.Date.IsZero() || stats.DayOf(r.Date) < t.shown.From {
		return false
	}
	first := stats.DayOf(r.Date)
	for d := first; d <= min(t.shown.To, t.today-1); d++ {
		s, ok := t.upTo(*r, d).(float64)
		margin := shareMargin
		if sum(t.daily[d]) < few {
			margin = 0
		}
		if ok && got == int64(d-first) {
			return s >= 0.5-margin
		}
		if ok && s >= 0.5+margin && s >= 0.5 {
			return false
		}
	}
	return got == nil
}

// histogram checks the bars that the view chose: that they lie side by side and
// are about equally wide, and that there are as many instance-days in each as the
// truth has, but for those in the bucket that an edge divides, which is 2 % wide.
func (c *comparison) histogram() {
	var all int64
	var ratio, slack float64 // of the edges of a bar; by how many instance-days one may be off
	total := c.truth.heapsFrom(-1, math.Inf(1))
	for _, row := range c.table.Rows {
		if !c.fit(row) {
			return
		}
		all += row[2].(int64)
	}
	if c.truth.sampled {
		slack = sampledMargin / 2 * float64(total)
	}
	if !near(all, total, 2*slack) {
		c.report("there are %d instance-days in all bars, want %d", all, total)
	}
	for i, row := range c.table.Rows {
		from, to, n := number(row[0]), number(row[1]), row[2].(int64)
		if i > 0 && from != number(c.table.Rows[i-1][1]) {
			c.report("a bar begins at %v, and the one before ends at %v", from, c.table.Rows[i-1][1])
		}
		switch {
		case i == 0 && from == 0:
		case ratio == 0:
			ratio = to / from
		case !near(to/from, ratio, ratio/50):
			c.report("a bar from %v to %v is not as wide as others", from, to)
		}
		const bucket = (1 + heapMargin) / (1 - heapMargin)
		least := c.truth.heapsFrom(from*bucket, to/bucket)
		most := c.truth.heapsFrom(from/bucket-1, to*bucket)
		if float64(n) < float64(least)-slack || float64(n) > float64(most)+slack {
			c.report("from %v to %v there are %d instance-days, want %d to %d", from, to, n, least, most)
		}
		if !near(row[3], float64(n)/float64(all), 1e-9) {
			c.report("from %v to %v there are %v of all, want %d of %d", from, to, row[3], n, all)
		}
	}
	if n := len(c.table.Rows); n > 45 || n < 15 && total > 10_000 {
		c.report("there are %d bars", n)
	}
}

// fit tells whether all values of a row are there, and of the columns' types.
func (c *comparison) fit(row []any) bool {
	ok := len(row) == len(c.table.Columns)
	for i, value := range row {
		ok = ok && fits(value, c.table.Columns[i].Kind)
	}
	if !ok {
		c.report("a row is %v", row)
	}
	return ok
}

func quantileOf(name any) float64 {
	for _, p := range percentiles {
		if p.name == name {
			return p.q
		}
	}
	return math.NaN()
}
