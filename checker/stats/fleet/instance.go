package fleet

import (
	"math"
	"math/rand/v2"

	"relcheck/checker/stats/rollup"
)

// The kinds of instances, as shares of the instances of a day.
const (
	serverShare  = 0.4  // run for hours to months and report at intervals
	oneShotShare = 0.45 // command-line runs and build jobs: report once
	sessionShare = 0.15 // interactive sessions: run for minutes to hours
)

// The lifetimes of servers, in days.
const (
	minLifetime  = 0.25
	maxLifetime  = 120.0
	meanLifetime = 19.4 // (maxLifetime - minLifetime) / log(maxLifetime/minLifetime)
)

// ended is the time of the next report of an instance that sends no more reports.
const ended = -1

// life is the schedule and memory use of an instance. Times are in seconds since
// 1970-01-01 UTC.
type life struct {
	next, end int64 // times of the next report and of the end
	start     int64
	interval  int64   // seconds between reports; 0 if there is only one
	logHeap   float64 // logarithm of the heap size at the start
	drift     float64 // growth of the logarithm per day
	noHeap    bool    // the instance never reports its heap size
}

func newLife(random *rand.Rand, start int64, lifetime, interval, heap float64) life {
	l := life{next: start, start: start, end: start + int64(lifetime), interval: int64(interval),
		logHeap: math.Log(heap) + 0.6*random.NormFloat64(), drift: 0.002 + 0.004*random.NormFloat64()}
	switch n := random.IntN(1000); {
	case n < 3: // an outlier
		l.logHeap += math.Log(12)
	case n < 43:
		l.noHeap = true
	}
	return l
}

func newOneShot(random *rand.Rand, hourStart int64) life {
	return newLife(random, hourStart+random.Int64N(hour), 0, 0, 900e3)
}

func newSession(random *rand.Rand, hourStart int64) life {
	return newLife(random, hourStart+random.Int64N(hour), logUniform(random, 120, 8*hour), hour, 6e6)
}

func newServer(random *rand.Rand, f Fleet, hourStart int64) life {
	return newLife(random, hourStart+random.Int64N(hour), day*logUniform(random, minLifetime, maxLifetime), f.Every.Seconds(), 60e6)
}

// newRunningServer returns a server that started some time before now.
func newRunningServer(random *rand.Rand, f Fleet, now int64) life {
	lifetime := day * (minLifetime + random.Float64()*(maxLifetime-minLifetime))
	age := random.Float64() * lifetime
	l := newLife(random, now-int64(age), lifetime, f.Every.Seconds(), 60e6)
	l.next = now + random.Int64N(l.interval)
	return l
}

// heap returns the heap size in the next report, or nil if the report contains none.
func (l *life) heap(random *rand.Rand) *int64 {
	n := random.IntN(20_000)
	if l.noHeap || n < 100 {
		return nil
	}
	var heap int64
	if n > 100 { // otherwise 0, in one report of 20,000
		age := float64(l.next-l.start) / day
		heap = int64(math.Exp(l.logHeap + l.drift*age + 0.08*random.NormFloat64()))
	}
	return &heap
}

// advance sets the time of the next report. One report of 200 is sent twice. A server
// pauses about once in two months, as a laptop does; a long pause counts as a restart.
func (l *life) advance(random *rand.Rand) {
	if random.IntN(200) == 0 {
		l.next += 1 + random.Int64N(rollup.MinRepeat-20)
		return
	}
	if l.interval == 0 {
		l.next = ended
		return
	}
	l.next += l.interval + random.Int64N(l.interval/20+1)
	if random.Int64N(60*day) < l.interval {
		l.next += day + random.Int64N(4*day)
	}
	if l.next > l.end {
		l.next = ended
	}
}

// heapFactor returns the ratio of a build's heap size to that of the oldest version on
// linux/amd64.
func (s *buildSampler) heapFactor(b rollup.Build) float64 {
	factor := 1.0
	for _, p := range platforms {
		if p.Platform == b.Platform {
			factor = p.heap
		}
	}
	running := s.scheme.Reported(b.Version)
	for _, r := range s.parsed {
		if r.Compare(running) <= 0 {
			factor *= 1.015
		}
	}
	return factor
}
