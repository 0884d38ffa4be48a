package stats

import (
	"relcheck/checker/stats/rollup"
)

import "math"

// sample is the heaps of a side, and of how many independent observations they are
// worth.
type sample struct {
	heapSum
	// size is how many there would be if every instance had reported on all days:
	// of such instances, the instance-days are that many.
	size float64
	// more is the share of the instance-days that are not the first of their instance.
	more float64
	// observed is the share of the instance-days that were looked at, see peaks.
	observed float64
}

// sampleOf returns the sample that the instance-days of a side are. The heaps of one
// instance resemble each other from day to day, and a server is there on every day
// while a check is there on one: a few servers may make most of a percentile. On how
// many days each instance was there is not known, but there are no more of them than
// days on which any was.
func (v *View) sampleOf(one side) sample {
	doubt, days := 0.0, map[rollup.Day]bool{} // doubt is by how much ids may be off, being estimated
	for _, b := range one.builds {
		if b.ids > 4096 {
			doubt += 2 * rollup.InstancesError * float64(b.ids)
		}
		for _, d := range b.Days {
			if v.Query.Contains(d.Day) && d.Instances > 0 {
				days[d.Day] = true
			}
		}
	}
	ids, all := float64(one.instances), float64(one.Total())
	return sample{
		heapSum:  one.heapSum,
		size:     min(ids, all/float64(max(1, len(days)))),
		more:     max(0, 1-(ids-doubt)/all),
		observed: float64(one.Heaps.Observed()) / all,
	}
}

// interval is a percentile, and between what it lies with 95 % confidence.
type interval struct {
	value, low, high float64
	enough           bool // observations to say so
}

// interval is found by ranks, whatever the distribution of the heaps: how many
// observations are below a percentile is distributed binomially. If nearly all
// instances were there on one day, each is an observation, and the share of the
// other days bounds what they can add to that.
func (s sample) interval(q float64) interval {
	size, n := s.size*s.observed, float64(s.instances)*s.observed
	spread, beyond := within(q, size), size*min(q, 1-q)
	if within(q, n)+s.more < spread {
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
