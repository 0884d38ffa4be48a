package ratelimit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Limiter limits the events per minute of each client IP. A client may use its events of
// a minute at once; afterwards, it gets new ones evenly spread over time.
type Limiter struct {
	perMinute   int
	maxNetworks int
	start       time.Time // origin of a monotonic clock

	mu   sync.Mutex
	day  int64 // of the key
	key  maphash.Seed
	busy map[uint64]time.Duration // by hash of the network: when its limit is unused again
}

// NewLimiter returns a limiter that allows perMinute events. It remembers at most
// maxNetworks networks, at about 50 bytes each, and forgets the networks that have used
// the least of their limit.
func NewLimiter(perMinute, maxNetworks int) *Limiter {
	return &Limiter{perMinute: perMinute, maxNetworks: maxNetworks, start: time.Now()}
}

// Allow reports whether a client IP may have an event now, and counts it if so.
func (l *Limiter) Allow(client netip.Addr) bool { return l.reserve(client, true) == 0 }

// Wait returns how long a client IP has to wait for its next event.
func (l *Limiter) Wait(client netip.Addr) time.Duration { return l.reserve(client, false) }

// reserve returns how long a client IP has to wait for its next event. If that is 0 and
// take is set, it counts the event.
func (l *Limiter) reserve(client netip.Addr, take bool) (wait time.Duration) {
	t := time.Now()
	now, day := t.Sub(l.start), t.Unix()/secondsPerDay
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy == nil || day != l.day {
		l.day, l.key, l.busy = day, maphash.MakeSeed(), map[uint64]time.Duration{}
	}
	var hashes [maxNetworks]uint64
	var after [maxNetworks]time.Duration // busy, with this event
	networks := networksOf(client)
	for i, n := range networks {
		hashes[i] = n.hash(l.key, client)
		limit := l.perMinute * n.rateFactor
		interval := time.Minute / time.Duration(limit)
		until := max(l.busy[hashes[i]], now)
		wait = max(wait, until-now-interval*time.Duration(limit-1))
		after[i] = until + interval
	}
	if wait > 0 || !take {
		return wait
	}
	for i := range networks {
		if _, known := l.busy[hashes[i]]; !known && len(l.busy) >= l.maxNetworks {
			l.evict(now)
		}
		l.busy[hashes[i]] = after[i]
	}
	return 0
}

// evict forgets the network that has used least of its limit, of a small sample.
func (l *Limiter) evict(now time.Duration) {
	const sample = 8
	n, least, victim := 0, time.Duration(0), uint64(0)
	for hash, until := range l.busy { // in random order
		if n == 0 || until < least {
			least, victim = until, hash
		}
		if n++; n == sample || least <= now {
			break
		}
	}
	delete(l.busy, victim)
}

// Len returns the number of networks that the limiter remembers.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.busy)
}
