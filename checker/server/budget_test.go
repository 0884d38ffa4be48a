package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudgets(60, 10)
		one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		takes := func(from netip.Addr) (n int) {
			for n < 1000 && b.take(from) {
				n++
			}
			return n
		}
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{0, 60}, {0, 0}, {999 * time.Millisecond, 0}, {time.Millisecond, 1}, {10 * time.Second, 10}, {time.Hour, 60}} {
			time.Sleep(c.after)
			if got := takes(one); got != c.want {
				t.Errorf("after %v there are %d, want %d", c.after, got, c.want)
			}
		}
		if got := takes(other); got != 60 {
			t.Errorf("another source has %d", got)
		}
		if wait := b.wait(one, false); wait != time.Second || b.wait(one, false) != wait {
			t.Errorf("there is one more after %v, and asking costs something", wait)
		}
		time.Sleep(24 * time.Hour) // a new day, and key
		if takes(one); b.sources() != 1 {
			t.Errorf("%d sources are known of the day", b.sources())
		}
	})
}

// A customer of a provider who has more than a /64 of IPv6 gets more, but not a limit
// for each /64.
func TestBudgetOfNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudgets(10, maxSources)
		from := func(host, third, fourth int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(third >> 8), byte(third), byte(fourth >> 8), byte(fourth), 15: byte(host)})
		}
		takes := func(from func(i int) netip.Addr) (n int) {
			for i := range 20_000 {
				if b.take(from(i)) {
					n++
				}
			}
			return n
		}
		for _, c := range []struct {
			name string
			from func(i int) netip.Addr
			want int
		}{
			{"a /64", func(i int) netip.Addr { return from(i, 1, 0) }, 10},
			{"the rest of its /56", func(i int) netip.Addr { return from(i, 1, i&0xff) }, 30},
			{"the rest of its /48", func(i int) netip.Addr { return from(i, 1, i&0xffff) }, 120},
			{"another /48", func(i int) netip.Addr { return from(i, 2, i&0xffff) }, 160},
			{"an IPv4 address", func(int) netip.Addr { return netip.MustParseAddr("192.0.2.1") }, 10},
			{"its neighbour", func(int) netip.Addr { return netip.MustParseAddr("192.0.2.2") }, 10},
			{"a client without an address", func(int) netip.Addr { return netip.Addr{} }, 10},
		} {
			if got := takes(c.from); got != c.want {
				t.Errorf("%s has %d, want %d", c.name, got, c.want)
			}
		}
		if wait := b.wait(from(1, 1, 0), false); wait != 6*time.Second {
			t.Errorf("a /64 waits %v for the next", wait)
		}
		if wait := b.wait(from(1, 2, 0xfff1), false); wait != time.Minute/160 {
			t.Errorf("a /64 waits %v for its /48", wait)
		}
		time.Sleep(time.Minute)
		if got := takes(func(i int) netip.Addr { return from(i, 1, i&0xffff) }); got != 160 {
			t.Errorf("a minute later a /48 has %d", got)
		}
	})
}

// One address is hashed to something else each day, and in each process.
func TestBudgetKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudgets(60, 10)
		seen := map[uint64]bool{}
		for range 10 {
			b.take(netip.MustParseAddr("192.0.2.1"))
			for hash := range b.paid {
				seen[hash] = true
			}
			time.Sleep(24 * time.Hour)
		}
		if len(seen) != 10 {
			t.Errorf("in 10 days it is hashed to %d values", len(seen))
		}
	})
}

// Of very many sources some are forgotten, and hardly ever one that has spent
// all it had.
func TestBudgetsAreBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := newBudgets(10, maxSources)
	greedy := netip.MustParseAddr("192.0.2.1")
	for b.take(greedy) {
	}
	for i := range 3 * maxSources {
		b.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	size := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d sources take %d KB", b.sources(), size>>10)
	if b.sources() != maxSources || size > 6<<20 {
		t.Errorf("%d sources take %d bytes", b.sources(), size)
	}
	if b.take(greedy) {
		t.Error("who has spent all is forgotten before others")
	}
}

// What a budget costs a report, which takes tens of microseconds in all.
func BenchmarkBudget(b *testing.B) {
	for _, sources := range []int{1, 1000, 2 * maxSources} {
		b.Run(fmt.Sprintf("sources=%d", sources), func(b *testing.B) {
			s := &Server{limits: &limits{sources: newBudgets(600, maxSources)}, hint: newProxyHint(), log: slog.New(slog.DiscardHandler)}
			r := httptest.NewRequest("POST", "/", bytes.NewReader(nil))
			for name, form := range map[string]string{"IPv4": "10.%d.%d.%d:4711", "IPv6": "[2001:db8:%x:%02x%02x::1]:4711"} {
				b.Run(name, func(b *testing.B) {
					addresses := make([]string, sources)
					for i := range addresses {
						addresses[i] = fmt.Sprintf(form, i>>16, i>>8&255, i&255)
					}
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						r.RemoteAddr = addresses[i%sources]
						s.limits.sources.take(s.source(r))
					}
				})
			}
		})
	}
}
