package server

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// budgets is a rate limit for each client IP: so many a minute, as many of them at
// once, and then evenly spread. Each network of [networksOf] has a limit of its own.
// Networks are known in memory only, by a hash under a key that changes every day.
type budgets struct {
	perMinute int
	most      int       // networks; beyond that, those are forgotten that have hardly used anything
	start     time.Time // of the clock below, which nobody sets

	mu   sync.Mutex
	day  int64 // for which the key is
	key  maphash.Seed
	paid map[uint64]time.Duration // by hash of the network: until when it has had all that was its own
}

// newBudgets bounds the memory by the number of networks, about 50 bytes each.
func newBudgets(perMinute, most int) *budgets {
	return &budgets{perMinute: perMinute, most: most, start: time.Now()}
}

// wait returns how long a client IP has to wait for one more, and takes it if that
// is not at all and take is set.
func (b *budgets) wait(from netip.Addr, take bool) (longest time.Duration) {
	t := time.Now()
	now, day := t.Sub(b.start), t.Unix()/secondsOfDay
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paid == nil || day != b.day {
		b.day, b.key, b.paid = day, maphash.MakeSeed(), map[uint64]time.Duration{}
	}
	var hashes [maxNetworks]uint64
	var paid [maxNetworks]time.Duration // with one more
	networks := networksOf(from)
	for i, n := range networks {
		hashes[i] = n.hash(b.key, from)
		limit := b.perMinute * n.rate
		each := time.Minute / time.Duration(limit)
		until := max(b.paid[hashes[i]], now)
		longest = max(longest, until-now-each*time.Duration(limit-1))
		paid[i] = until + each
	}
	if longest > 0 || !take {
		return longest
	}
	for i := range networks {
		if _, known := b.paid[hashes[i]]; !known && len(b.paid) >= b.most {
			b.forget(now)
		}
		b.paid[hashes[i]] = paid[i]
	}
	return 0
}

// take reports whether a client IP may have one more, and takes it.
func (b *budgets) take(from netip.Addr) bool { return b.wait(from, true) == 0 }

// forget makes room for one more network: of a few, it forgets the one that has used least.
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
