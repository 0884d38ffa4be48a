package ratelimit

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"relcheck/checker"
)

const perProduct = 100

var (
	linux  = checker.Platform{OS: "linux", Arch: "amd64"}
	darwin = checker.Platform{OS: "darwin", Arch: "arm64"}
)

// allowNew reports so many new builds from a client, and returns how many are allowed.
func (l *VersionLimiter) allowNew(client netip.Addr, product string, builds int) (n int) {
	for i := range builds {
		if l.Allow(client, product, fmt.Sprintf("9.%s.%d", client, i), linux) {
			n++
		}
	}
	return n
}

func TestVersionLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewVersionLimiter(perProduct)
		client := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }
		if n := l.allowNew(client(1), "opa", 1000); n != VersionsPerClient {
			t.Errorf("one client: got %d builds, want %d", n, VersionsPerClient)
		}
		if !l.Allow(client(2), "opa", "0.21.0-istio", linux) || !l.Allow(client(1), "opa", "0.21.0-istio", linux) {
			t.Error("a build that another client was allowed is refused to a client at its limit")
		}
		if l.Allow(client(1), "opa", "0.21.0-istio", darwin) {
			t.Error("a client at its limit is allowed another platform of a version")
		}
		if n := l.allowNew(client(1), "opa", VersionsPerClient); n != VersionsPerClient {
			t.Errorf("repeated builds: got %d, want %d", n, VersionsPerClient)
		}
		if n := l.allowNew(client(1), "myapp", 1000); n != VersionsPerClient {
			t.Errorf("another product: got %d builds, want %d", n, VersionsPerClient)
		}
		n := VersionsPerClient + 1
		for i := 2; i < 10; i++ {
			n += l.allowNew(client(i), "opa", 1000)
		}
		if n != perProduct {
			t.Errorf("all clients: got %d builds, want %d", n, perProduct)
		}
		time.Sleep(24 * time.Hour)
		if n := l.allowNew(client(1), "opa", 1000); n != VersionsPerClient {
			t.Errorf("on the next day: got %d builds, want %d", n, VersionsPerClient)
		}
	})
}

// TestVersionLimiterOfNetworks checks that a larger network of IPv6 is allowed more
// builds, but not all of a product.
func TestVersionLimiterOfNetworks(t *testing.T) {
	l := NewVersionLimiter(perProduct)
	addr := func(third, fourth uint16) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(third >> 8), byte(third), byte(fourth >> 8), byte(fourth), 15: 1})
	}
	for _, c := range []struct {
		client netip.Addr
		want   int
	}{
		{addr(1, 0x0000), 20}, {addr(1, 0x0001), 10}, {addr(1, 0x0002), 0}, // of a /56
		{addr(1, 0x0100), 10}, {addr(1, 0x0200), 0}, // of a /48
		{addr(2, 0x0000), 20}, {netip.MustParseAddr("192.0.2.1"), 20},
	} {
		if n := l.allowNew(c.client, "opa", 1000); n != c.want {
			t.Errorf("%v: got %d builds, want %d", c.client, n, c.want)
		}
	}
}

func TestVersionLimiterIsBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l := NewVersionLimiter(perProduct)
	const products = 200
	for i := range products {
		for j := range 1000 { // each in another /48
			l.allowNew(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(j >> 8), byte(j)}), fmt.Sprint(i), 1)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	size := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / products
	p := l.products["0"]
	t.Logf("%d builds of %d networks take %d bytes", len(p.builds), len(p.byNetwork), size)
	if len(p.builds) != perProduct || len(p.byNetwork) != 3*perProduct || size > 16<<10 {
		t.Errorf("got %d builds of %d networks in %d bytes, want %d of %d in 16 KB at most", len(p.builds), len(p.byNetwork), size, perProduct, 3*perProduct)
	}
}
