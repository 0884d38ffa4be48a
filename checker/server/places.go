package server

import (
	"hash/maphash"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"relcheck/checker"
	"relcheck/checker/stats"
)

// places are the [stats.MaxUnpublished] builds of unreleased versions that a product
// has on a day. A client that invents versions gets some of them, see [networksOf],
// and leaves the others to those who build their own. It holds as many builds as
// there are places, and three networks for each at most: about 10 KB a product.
// Builds and networks are known by hashes, as in [budgets].
type places struct {
	mu  sync.Mutex
	day int64 // for which the key is
	key maphash.Seed
	of  map[string]*taken
}

// taken are the places of a product.
type taken struct {
	builds map[uint64]struct{} // that have one
	by     map[uint64]int      // how many of them each network has brought
}

// take reports whether a build of an unreleased version may have a place, or has one
// already, whichever client brought it.
func (p *places) take(from netip.Addr, product, version string, on checker.Platform) bool {
	day := time.Now().Unix() / secondsOfDay
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
	build := maphash.Comparable(p.key, stats.Build{Version: version, Platform: on})
	if _, has := t.builds[build]; has {
		return true
	}
	var hashes [maxNetworks]uint64
	networks := networksOf(from)
	for i, n := range networks {
		hashes[i] = n.hash(p.key, from)
		if t.by[hashes[i]] >= n.places {
			return false
		}
	}
	if len(t.builds) >= stats.MaxUnpublished {
		return false
	}
	t.builds[build] = struct{}{}
	for _, hash := range hashes[:len(networks)] {
		t.by[hash]++
	}
	return true
}

// counted returns the version under which something is counted that runs version,
// as its source says. A release needs no place, nor does what has none.
func (s *Server) counted(r *http.Request, p *product, version string, published bool, on checker.Platform) string {
	switch {
	case s.limits.places == nil || version == stats.Other || published:
		return version
	case s.limits.places.take(s.source(r), p.Name, version, on):
		return version
	}
	s.limits.noPlace.Inc()
	return stats.Other
}
