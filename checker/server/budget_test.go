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

func TestSource(t *testing.T) {
	s := &Server{}
	for _, p := range []string{"10.0.0.0/8", "192.0.2.7/32", "2001:db8:ffff::/48"} {
		s.options.TrustedProxies = append(s.options.TrustedProxies, netip.MustParsePrefix(p))
	}
	for _, c := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"198.51.100.1:9", nil, "198.51.100.1"},
		{"[::ffff:198.51.100.1]:9", nil, "198.51.100.1"},
		{"[2001:db8:1:2:3:4:5:6]:9", nil, "2001:db8:1:2::"},
		{"[fe80::1%eth0]:9", nil, "fe80::"},
		{"@", nil, "invalid IP"},
		{"10.0.0.1:9", nil, "10.0.0.1"},

		{"10.0.0.1:9", []string{"198.51.100.1"}, "198.51.100.1"},
		{"[::ffff:10.0.0.1]:9", []string{"198.51.100.1"}, "198.51.100.1"},
		{"192.0.2.7:9", []string{"203.0.113.9, 198.51.100.1"}, "198.51.100.1"}, // the first one is made up
		{"10.0.0.1:9", []string{"203.0.113.9,198.51.100.1 ,\t10.2.3.4, 192.0.2.7"}, "198.51.100.1"},
		{"10.0.0.1:9", []string{"203.0.113.9", "198.51.100.1, 10.1.1.1", "10.2.3.4"}, "198.51.100.1"},
		{"10.0.0.1:9", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"[2001:db8:ffff::1]:9", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::"},
		{"10.0.0.1:9", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"10.0.0.1:9", []string{"[2001:db8:1:2::5]:4711"}, "2001:db8:1:2::"},
		{"10.0.0.1:9", []string{"[2001:db8:1:2::5]"}, "2001:db8:1:2::"},
		{"10.0.0.1:9", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},

		{"198.51.100.1:9", []string{"203.0.113.9"}, "198.51.100.1"}, // not from a proxy of ours
		{"192.0.2.8:9", []string{"203.0.113.9, 10.0.0.1"}, "192.0.2.8"},

		{"10.0.0.1:9", []string{""}, "10.0.0.1"},
		{"10.0.0.1:9", []string{","}, "10.0.0.1"},
		{"10.0.0.1:9", []string{"unknown"}, "10.0.0.1"},
		{"10.0.0.1:9", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:9", []string{"198.51.100.1 10.0.0.2"}, "10.0.0.1"},
		{"10.0.0.1:9", []string{"198.51.100.1\x00"}, "10.0.0.1"},
		{"10.0.0.1:9", []string{"198.51.100.256"}, "10.0.0.1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != nil {
			r.Header["X-Forwarded-For"] = c.forwarded
		}
		s.log = slog.New(slog.DiscardHandler)
		if got := s.source(r).String(); got != c.want {
			t.Errorf("from %s by %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}

func FuzzSource(f *testing.F) {
	f.Add("198.51.100.1, 10.0.0.1", "unknown,[::1]:5")
	f.Fuzz(func(t *testing.T, one, two string) {
		s := &Server{options: Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = "10.0.0.1:9", []string{one, two}
		got := s.source(r)
		if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Errorf("%q, %q: %v", one, two, got)
		}
		r.RemoteAddr = "192.0.2.1:9"
		s.log = slog.New(slog.DiscardHandler)
		if got := s.source(r); got.String() != "192.0.2.1" {
			t.Errorf("not from a proxy: %v", got)
		}
	})
}

// What a budget costs a report, which takes tens of microseconds in all.
func BenchmarkBudget(b *testing.B) {
	for _, sources := range []int{1, 1000, 2 * maxSources} {
		b.Run(fmt.Sprintf("sources=%d", sources), func(b *testing.B) {
			s := &Server{limits: &limits{sources: newBudgets(600, maxSources)}}
			r := httptest.NewRequest("POST", "/", bytes.NewReader(nil))
			addresses := make([]string, sources)
			for i := range addresses {
				addresses[i] = fmt.Sprintf("10.%d.%d.%d:4711", i>>16, i>>8&255, i&255)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.RemoteAddr = addresses[i%sources]
				s.limits.sources.take(s.source(r))
			}
		})
	}
}
