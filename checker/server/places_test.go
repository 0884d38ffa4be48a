package server

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"relcheck/checker"
	"relcheck/checker/stats"
)

var (
	linux  = checker.Platform{OS: "linux", Arch: "amd64"}
	darwin = checker.Platform{OS: "darwin", Arch: "arm64"}
)

// brings lets a source bring so many builds that nobody has brought before, and
// returns how many have a place.
func (p *places) brings(from netip.Addr, product string, builds int) (n int) {
	for i := range builds {
		if p.take(from, product, fmt.Sprintf("9.%s.%d", from, i), linux) {
			n++
		}
	}
	return n
}

func TestPlaces(t *testing.T) {
	placesEach := ipv4Networks[0].places
	synctest.Test(t, func(t *testing.T) {
		p := &places{}
		source := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }
		if n := p.brings(source(1), "opa", 1000); n != placesEach {
			t.Errorf("one source takes %d places", n)
		}
		if !p.take(source(2), "opa", "0.21.0-istio", linux) || !p.take(source(1), "opa", "0.21.0-istio", linux) {
			t.Error("what another source has brought is no place for who has none left")
		}
		if p.take(source(1), "opa", "0.21.0-istio", darwin) || p.brings(source(1), "opa", placesEach) != placesEach {
			t.Error("another build of the version is let have a place, or one that had a place is not")
		}
		if n := p.brings(source(1), "myapp", 1000); n != placesEach {
			t.Errorf("of another product it takes %d", n)
		}
		n := placesEach + 1
		for i := 2; i < 10; i++ {
			n += p.brings(source(i), "opa", 1000)
		}
		if n != stats.MaxUnpublished {
			t.Errorf("all together take %d places", n)
		}
		time.Sleep(24 * time.Hour)
		if n := p.brings(source(1), "opa", 1000); n != placesEach {
			t.Errorf("on the next day it takes %d places", n)
		}
	})
}

// A client that has a larger network of IPv6 gets more places in all, and leaves some.
func TestPlacesOfNetworks(t *testing.T) {
	p := &places{}
	in := func(third, fourth uint16) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(third >> 8), byte(third), byte(fourth >> 8), byte(fourth), 15: 1})
	}
	for _, c := range []struct {
		from netip.Addr
		want int
	}{
		{in(1, 0x0000), 20}, {in(1, 0x0001), 10}, {in(1, 0x0002), 0}, // of a /56
		{in(1, 0x0100), 10}, {in(1, 0x0200), 0}, // of a /48
		{in(2, 0x0000), 20}, {netip.MustParseAddr("192.0.2.1"), 20},
	} {
		if n := p.brings(c.from, "opa", 1000); n != c.want {
			t.Errorf("%v takes %d places, want %d", c.from, n, c.want)
		}
	}
}

// However many sources bring whatever, what is known of them fits into some KB a product.
func TestPlacesAreBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p := &places{}
	const products = 200
	for i := range products {
		for j := range 1000 { // each of another /48
			p.brings(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(j >> 8), byte(j)}), fmt.Sprint(i), 1)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / products
	one := p.of["0"]
	t.Logf("%d builds of %d networks take %d bytes", len(one.builds), len(one.by), each)
	if len(one.builds) != stats.MaxUnpublished || len(one.by) != 3*stats.MaxUnpublished || each > 16<<10 {
		t.Errorf("%d builds of %d networks take %d bytes", len(one.builds), len(one.by), each)
	}
}
