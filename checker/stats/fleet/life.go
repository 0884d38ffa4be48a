package fleet

import (
	"math"
	"math/rand/v2"

	"relcheck/checker"
	"relcheck/checker/stats"
)

// What the ids of a day are, as shares of all.
const (
	servers  = 0.4  // hours to months, and report every so often
	checks   = 0.45 // version checks and jobs of a build server, that report once
	sessions = 0.15 // minutes to hours, of a person at a terminal
)

// How long servers live, in days.
const (
	shortest = 0.25
	longest  = 120.0
	meanLife = 19.4 // (longest - shortest) / log(longest/shortest)
)

// ended is when an instance reports next that does not.
const ended = -1

// life is what becomes of one process.
type life struct {
	at, end int64 // its next report, and its end
	since   int64 // its start
	every   int64 // seconds between reports; 0 for one only
	heap    float64
	drift   float64 // by how much the logarithm of its heap grows a day
	silent  bool    // it never tells its heap
}

func born(random *rand.Rand, at int64, lives, every, heap float64) life {
	l := life{at: at, since: at, end: at + int64(lives), every: int64(every),
		heap: math.Log(heap) + 0.6*random.NormFloat64(), drift: 0.002 + 0.004*random.NormFloat64()}
	switch n := random.IntN(1000); {
	case n < 3: // one that is used for something else
		l.heap += math.Log(12)
	case n < 43:
		l.silent = true
	}
	return l
}

// soon is a moment of the hour.
func soon(random *rand.Rand, hourFrom int64) int64 { return hourFrom + random.Int64N(hour) }

func aCheck(random *rand.Rand, hourFrom int64) life {
	return born(random, soon(random, hourFrom), 0, 0, 900e3)
}

func aSession(random *rand.Rand, hourFrom int64) life {
	return born(random, soon(random, hourFrom), spread(random, 120, 8*hour), hour, 6e6)
}

func aServer(random *rand.Rand, f Fleet, hourFrom int64) life {
	return born(random, soon(random, hourFrom), day*spread(random, shortest, longest), f.Every.Seconds(), 60e6)
}

// older is a server that has been running for some time.
func older(random *rand.Rand, f Fleet, now int64) life {
	lives := day * (shortest + random.Float64()*(longest-shortest))
	lived := random.Float64() * lives
	l := born(random, now-int64(lived), lives, f.Every.Seconds(), 60e6)
	l.at = now + random.Int64N(l.every)
	return l
}

// tell is the heap that a report tells, or nil.
func (l *life) tell(random *rand.Rand) *int64 {
	n := random.IntN(20_000)
	if l.silent || n < 100 {
		return nil
	}
	var heap int64
	if n > 100 { // and once in a long while it is 0
		lived := float64(l.at-l.since) / day
		heap = int64(math.Exp(l.heap + l.drift*lived + 0.08*random.NormFloat64()))
	}
	return &heap
}

// wait sets the time of the next report, if there is one. One in 200 reports is
// sent twice. A server pauses every two months or so, as laptops do, some so long
// that it counts as started anew.
func (l *life) wait(random *rand.Rand) {
	if random.IntN(200) == 0 {
		l.at += 1 + random.Int64N(stats.Repeat-20)
		return
	}
	if l.every == 0 {
		l.at = ended
		return
	}
	l.at += l.every + random.Int64N(l.every/20+1)
	if random.Int64N(60*day) < l.every {
		l.at += day + random.Int64N(4*day)
	}
	if l.at > l.end {
		l.at = ended
	}
}

// heap is how many times as much a build takes as the oldest version on
// linux/amd64.
func (m *market) heap(b stats.Build) float64 {
	factor := 1.0
	for _, p := range platforms {
		if p.Platform == b.Platform {
			factor = p.heap
		}
	}
	for _, r := range m.releases {
		if checker.Compare(r.Version, b.Version) <= 0 {
			factor *= 1.015
		}
	}
	return factor
}
