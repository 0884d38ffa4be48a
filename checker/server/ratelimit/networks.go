// Package ratelimit limits what one client IP can do. It keeps addresses in memory only,
// as hashes under a key that changes every day.
package ratelimit

import (
	"hash/maphash"
	"net/netip"
)

// network is a size of network whose clients share limits.
type network struct {
	bits       int
	rateFactor int // the rate limit of the network, as a multiple of that of one client IP
	versions   int // builds of unreleased versions per product and day
}

// A provider assigns one IPv4 address to a customer, but anything from a /64 to a /48 of
// IPv6. An IPv6 client therefore counts towards the limits of all three networks that
// contain it, and is limited by each.
var (
	ipv4Networks = []network{{32, 1, 20}}
	ipv6Networks = []network{{64, 1, 20}, {56, 4, 30}, {48, 16, 40}}
)

const maxNetworks = 3 // that networksOf returns

// VersionsPerClient is how many builds of unreleased versions an IPv4 address or a /64 of
// IPv6 can report per product and day.
var VersionsPerClient = ipv4Networks[0].versions

const secondsPerDay = 24 * 60 * 60

// networksOf returns the sizes of network that count for a client IP.
func networksOf(a netip.Addr) []network {
	if a.Is6() {
		return ipv6Networks
	}
	return ipv4Networks
}

// hash returns a hash of the network of this size that contains a client IP.
func (n network) hash(key maphash.Seed, a netip.Addr) uint64 {
	var text [17]byte
	full := a.As16()
	if a.Is6() {
		copy(text[:], full[:n.bits/8])
	} else {
		copy(text[:], full[:])
	}
	text[16] = byte(n.bits)
	return maphash.Bytes(key, text[:])
}
