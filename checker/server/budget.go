package server

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// budgets is how many of something each source may have in a minute: as many at
// once, and then evenly spread. Sources are known in memory only, and there by a
// hash of their address under a key that is another one each day.
type budgets struct {
	each, ahead time.Duration // from one to the next, and how far ahead of that a source may be
	most        int           // sources; of more, those are forgotten that have hardly used anything
	start       time.Time     // of the clock below, which nobody sets

	mu   sync.Mutex
	day  int64 // for which the key is
	key  maphash.Seed
	paid map[uint64]time.Duration // until when a source has had all that was its own
}

// newBudgets bounds the memory by the number of sources, about 50 bytes each.
func newBudgets(perMinute, most int) *budgets {
	each := time.Minute / time.Duration(perMinute)
	return &budgets{each: each, ahead: each * time.Duration(perMinute-1), most: most, start: time.Now()}
}

// wait returns how long a source has to wait for one more, and takes it if that
// is not at all and it is told to.
func (b *budgets) wait(from netip.Addr, take bool) time.Duration {
	t := time.Now()
	now, day, address := t.Sub(b.start), t.Unix()/secondsOfDay, from.As16()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paid == nil || day != b.day {
		b.day, b.key, b.paid = day, maphash.MakeSeed(), map[uint64]time.Duration{}
	}
	hash := maphash.Bytes(b.key, address[:])
	until, known := b.paid[hash]
	until = max(until, now)
	if wait := until - now - b.ahead; wait > 0 || !take {
		return max(wait, 0)
	}
	if !known && len(b.paid) >= b.most {
		b.forget(now)
	}
	b.paid[hash] = until + b.each
	return 0
}

// take tells whether a source may have one more, and takes it.
func (b *budgets) take(from netip.Addr) bool { return b.wait(from, true) == 0 }

// forget makes room for one more: of some sources, the one goes that has used least.
func (b *budgets) forget(now time.Duration) {
	const some = 8
	looked, least, victim := 0, time.Duration(0), uint64(0)
	for hash, until := range b.paid { // in no order
		if looked == 0 || until < least {
			least, victim = until, hash
		}
		if looked++; looked == some || least <= now {
			break
		}
	}
	delete(b.paid, victim)
}

// sources is how many are known.
func (b *budgets) sources() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.paid)
}

const secondsOfDay = 24 * 60 * 60
