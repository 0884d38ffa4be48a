package ratelimit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"relcheck/checker"
)

// VersionLimiter limits the builds of unreleased versions that are counted under their
// own version: all builds of a product and day, and the builds that each client IP is the
// first to report. A client that invents versions thus leaves room for other builds.
// Builds and networks are kept as hashes, which takes about 10 KB a product.
type VersionLimiter struct {
	perProduct int

	mu       sync.Mutex
	day      int64 // of the key
	key      maphash.Seed
	products map[string]*productVersions
}

// productVersions are the builds that a product has on a day.
type productVersions struct {
	builds    map[uint64]struct{}
	byNetwork map[uint64]int // the number of builds that each network was the first to report
}

// NewVersionLimiter returns a limiter with a number of builds per product and day.
func NewVersionLimiter(perProduct int) *VersionLimiter {
	return &VersionLimiter{perProduct: perProduct}
}

// Allow reports whether a build of an unreleased version may be counted under its own
// version. A build that was allowed stays so for the day, whichever client reports it.
func (l *VersionLimiter) Allow(client netip.Addr, product, version string, platform checker.Platform) bool {
	day := time.Now().Unix() / secondsPerDay
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.products == nil || day != l.day {
		l.day, l.key, l.products = day, maphash.MakeSeed(), map[string]*productVersions{}
	}
	p := l.products[product]
	if p == nil {
		p = &productVersions{map[uint64]struct{}{}, map[uint64]int{}}
		l.products[product] = p
	}
	build := maphash.Comparable(l.key, struct {
		version  string
		platform checker.Platform
	}{version, platform})
	if _, allowed := p.builds[build]; allowed {
		return true
	}
	var hashes [maxNetworks]uint64
	networks := networksOf(client)
	for i, n := range networks {
		hashes[i] = n.hash(l.key, client)
		if p.byNetwork[hashes[i]] >= n.versions {
			return false
		}
	}
	if len(p.builds) >= l.perProduct {
		return false
	}
	p.builds[build] = struct{}{}
	for _, hash := range hashes[:len(networks)] {
		p.byNetwork[hash]++
	}
	return true
}
