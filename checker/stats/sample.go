package stats

import "math"

// sample is the heaps that were told of a side, and of how many independent
// observations they are worth.
type sample struct {
	pile
	// size is how many there would be if every id had sent as many reports as
	// those that sent the most: of such ids, the reports are that many.
	size float64
	// more is the share of the reports that are not the first one of their id.
	more float64
}

// sampleOf returns the sample that the reports of a side are. The reports of one
// process resemble each other, and a server sends hundreds while a check sends
// one: a few servers may make most of a percentile. How many reports each id
// sent is not known. But each day that an id was seen on after its first counts
// once more in the sum of the days' ids, so that there are at least [returned]
// ids for all reports that are not the first of their id.
func (v *View) sampleOf(one side) sample {
	c, p := v.crowdOf(one), one.pile
	s := sample{pile: p, more: max(0, 1-(float64(p.ids)-c.doubt)/float64(p.total))}
	if u := c.returned(); u > 0 {
		most := 1 + max(0, float64(c.reports)-float64(c.ids)+c.doubt)/u
		s.size = min(float64(p.ids), float64(p.total)/most)
	}
	return s
}

// crowd is how often the ids of a side were there.
type crowd struct {
	ids, reports int64
	idDays       int64   // the ids of each day, added up
	days         int     // on which there were any
	doubt        float64 // by how much ids may be off, being estimated
}

func (v *View) crowdOf(one side) (c crowd) {
	heard := map[Day]bool{}
	for _, b := range one.builds {
		c.ids += b.ids
		c.reports += b.Reports
		if b.ids > maxFew {
			c.doubt += 2 * IDsError * float64(b.ids)
		}
		for _, d := range b.Days {
			if v.Query.Has(d.Day) && d.IDs > 0 {
				c.idDays += d.IDs
				heard[d.Day] = true
			}
		}
	}
	c.days = len(heard)
	return c
}

// returned is the least number of ids that can have been seen on several days:
// as many as there are if each of them was seen on all days. It is 0 when
// nothing tells, as of a single day.
func (c crowd) returned() float64 {
	if c.days < 2 {
		return 0
	}
	return max(0, float64(c.idDays-c.ids)-c.doubt) / float64(c.days-1)
}

// interval is a percentile, and between what it lies with 95 % confidence.
type interval struct {
	value, low, high float64
	enough           bool // observations to say so
}

// interval is found by ranks, whatever the distribution of the heaps: how many
// observations are below a percentile is distributed binomially. Where nearly
// all ids sent one report, each is an observation, and the others' share bounds
// what they can add to that.
func (s sample) interval(q float64) interval {
	spread, beyond := within(q, s.size), s.size*min(q, 1-q)
	if n := float64(s.ids); within(q, n)+s.more < spread {
		spread, beyond = within(q, n)+s.more, n*(min(q, 1-q)-s.more)
	}
	return interval{
		value: s.Quantile(q), low: s.Quantile(max(0, q-spread)), high: s.Quantile(min(1, q+spread)),
		enough: beyond >= leastBeyond,
	}
}

// within is how far, as a share of all, a percentile of n observations is from
// that of all there could be.
func within(q, n float64) float64 { return deviations * math.Sqrt(q*(1-q)/n) }
