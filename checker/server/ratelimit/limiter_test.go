package ratelimit

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

const manyNetworks = 100_000

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(60, 10)
		client, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		allowed := func(client netip.Addr) (n int) {
			for n < 1000 && l.Allow(client) {
				n++
			}
			return n
		}
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{0, 60}, {0, 0}, {999 * time.Millisecond, 0}, {time.Millisecond, 1}, {10 * time.Second, 10}, {time.Hour, 60}} {
			time.Sleep(c.after)
			if got := allowed(client); got != c.want {
				t.Errorf("after %v: got %d events, want %d", c.after, got, c.want)
			}
		}
		if got := allowed(other); got != 60 {
			t.Errorf("another client: got %d events, want 60", got)
		}
		if first, second := l.Wait(client), l.Wait(client); first != time.Second || second != time.Second {
			t.Errorf("got wait of %v, then %v, want 1s twice", first, second)
		}
		time.Sleep(24 * time.Hour) // the key changes
		if allowed(client); l.Len() != 1 {
			t.Errorf("got %d networks on the next day, want 1", l.Len())
		}
	})
}

// TestLimiterOfNetworks checks that a client with more than a /64 of IPv6 has a higher
// limit, but not the full limit for each /64.
func TestLimiterOfNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(10, manyNetworks)
		addr := func(host, third, fourth int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(third >> 8), byte(third), byte(fourth >> 8), byte(fourth), 15: byte(host)})
		}
		allowed := func(client func(i int) netip.Addr) (n int) {
			for i := range 20_000 {
				if l.Allow(client(i)) {
					n++
				}
			}
			return n
		}
		for _, c := range []struct {
			name   string
			client func(i int) netip.Addr
			want   int
		}{
			{"a /64", func(i int) netip.Addr { return addr(i, 1, 0) }, 10},
			{"the rest of its /56", func(i int) netip.Addr { return addr(i, 1, i&0xff) }, 30},
			{"the rest of its /48", func(i int) netip.Addr { return addr(i, 1, i&0xffff) }, 120},
			{"another /48", func(i int) netip.Addr { return addr(i, 2, i&0xffff) }, 160},
			{"an IPv4 address", func(int) netip.Addr { return netip.MustParseAddr("192.0.2.1") }, 10},
			{"the next IPv4 address", func(int) netip.Addr { return netip.MustParseAddr("192.0.2.2") }, 10},
			{"a client without an address", func(int) netip.Addr { return netip.Addr{} }, 10},
		} {
			if got := allowed(c.client); got != c.want {
				t.Errorf("%s: got %d events, want %d", c.name, got, c.want)
			}
		}
		if got := l.Wait(addr(1, 1, 0)); got != 6*time.Second {
			t.Errorf("a /64 at its limit: got wait of %v, want 6s", got)
		}
		if got, want := l.Wait(addr(1, 2, 0xfff1)), time.Minute/160; got != want {
			t.Errorf("a /64 in a /48 at its limit: got wait of %v, want %v", got, want)
		}
		time.Sleep(time.Minute)
		if got := allowed(func(i int) netip.Addr { return addr(i, 1, i&0xffff) }); got != 160 {
			t.Errorf("a /48 after a minute: got %d events, want 160", got)
		}
	})
}

func TestLimiterKeyChangesDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(60, 10)
		hashes := map[uint64]bool{}
		for range 10 {
			l.Allow(netip.MustParseAddr("192.0.2.1"))
			for hash := range l.busy {
				hashes[hash] = true
			}
			time.Sleep(24 * time.Hour)
		}
		if len(hashes) != 10 {
			t.Errorf("got %d hashes of one address in 10 days, want 10", len(hashes))
		}
	})
}

// TestLimiterIsBounded checks that a limiter forgets some of very many networks, and
// hardly ever one that has reached its limit.
func TestLimiterIsBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l := NewLimiter(10, manyNetworks)
	greedy := netip.MustParseAddr("192.0.2.1")
	for l.Allow(greedy) {
	}
	for i := range 3 * manyNetworks {
		l.Allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	size := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d networks take %d KB", l.Len(), size>>10)
	if l.Len() != manyNetworks || size > 6<<20 {
		t.Errorf("got %d networks in %d bytes, want %d in 6 MB at most", l.Len(), size, manyNetworks)
	}
	if l.Allow(greedy) {
		t.Error("a client at its limit was forgotten before others")
	}
}

func BenchmarkLimiter(b *testing.B) {
	for _, clients := range []int{1, 1000, 2 * manyNetworks} {
		for name, format := range map[string]string{"IPv4": "10.%d.%d.%d", "IPv6": "2001:db8:%x:%02x%02x::1"} {
			b.Run(fmt.Sprintf("clients=%d/%s", clients, name), func(b *testing.B) {
				l := NewLimiter(600, manyNetworks)
				addrs := make([]netip.Addr, clients)
				for i := range addrs {
					addrs[i] = netip.MustParseAddr(fmt.Sprintf(format, i>>16, i>>8&255, i&255))
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					l.Allow(addrs[i%clients])
				}
			})
		}
	}
}
