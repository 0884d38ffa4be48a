package server

import (
	"hash/maphash"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"relcheck/checker"
	"relcheck/checker/stats"
)

// placesEach is how many of the [stats.MaxUnpublished] places that a product has on
// a day one source may take: whoever invents versions leaves some to those who
// build their own.
const placesEach = 20

// places are those of the day that were let have, by product. It holds as many
// builds as there are places, and no more sources than builds: about 5 KB a
// product. Builds and sources are known by hashes, as in [budgets].
type places struct {
	mu  sync.Mutex
	day int64 // for which the key is
	key maphash.Seed
	of  map[string]*taken
}

// taken are the places of a product.
type taken struct {
	builds map[uint64]struct{} // that have one
	by     map[uint64]int      // how many of them each source has brought
}

// take tells whether a build of a version that is no release may have a place, or
// has one already, whoever brought it.
func (p *places) take(from netip.Addr, product, version string, on checker.Platform) bool {
	day, address := time.Now().Unix()/secondsOfDay, from.As16()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil || day != p.day {
		p.day, p.key, p.of = day, maphash.MakeSeed(), map[string]*taken{}
	}
	t := p.of[product]
	if t == nil {
		t = &taken{map[uint64]struct{}{}, map[uint64]int{}}
		p.of[product] = t
	}
	build, source := maphash.Comparable(p.key, stats.Build{Version: version, Platform: on}), maphash.Bytes(p.key, address[:])
	if _, has := t.builds[build]; has {
		return true
	}
	if len(t.builds) >= stats.MaxUnpublished || t.by[source] >= placesEach {
		return false
	}
	t.builds[build] = struct{}{}
	t.by[source]++
	return true
}

// counted returns the version under which something is counted that runs version,
// as its source says. A release needs no place, nor does what has none.
func (s *Server) counted(r *http.Request, p *product, version string, on checker.Platform) string {
	switch {
	case s.limits.places == nil || version == stats.Other || p.published[strings.TrimPrefix(version, "v")]:
		return version
	case s.limits.places.take(s.source(r), p.Name, version, on):
		return version
	}
	s.limits.noPlace.Inc()
	return stats.Other
}
