package clientip

import (
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// forwardedBy is one or more lines of a header of [forwardingHeaders].
type forwardedBy struct {
	name  string
	lines []string
}

func xff(lines ...string) forwardedBy    { return forwardedBy{"X-Forwarded-For", lines} }
func rfc(lines ...string) forwardedBy    { return forwardedBy{"Forwarded", lines} }
func realIP(lines ...string) forwardedBy { return forwardedBy{"X-Real-Ip", lines} }

func newTestResolver(log *slog.Logger) *Resolver {
	var trusted []netip.Prefix
	for _, p := range []string{"10.0.0.0/8", "192.0.2.7/32", "2001:db8:ffff::/48"} {
		trusted = append(trusted, netip.MustParsePrefix(p))
	}
	return NewResolver(trusted, log)
}

func (r *Resolver) resolve(remote string, headers ...forwardedBy) string {
	req := httptest.NewRequest("GET", "/", nil)
	req.RemoteAddr = remote
	for _, h := range headers {
		req.Header[h.name] = h.lines
	}
	return r.ClientIP(req).String()
}

func TestClientIP(t *testing.T) {
	const proxy = "10.0.0.1:9"
	s := newTestResolver(slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		remote  string
		headers []forwardedBy
		want    string
	}{
		{"198.51.100.1:9", nil, "198.51.100.1"},
		{"[::ffff:198.51.100.1]:9", nil, "198.51.100.1"},
		{"[2001:db8:1:2:3:4:5:6]:9", nil, "2001:db8:1:2:3:4:5:6"},
		{"[fe80::1%eth0]:9", nil, "fe80::1"},
		{"@", nil, "invalid IP"},
		{proxy, nil, "10.0.0.1"},

		{proxy, []forwardedBy{xff("198.51.100.1")}, "198.51.100.1"},
		{"[::ffff:10.0.0.1]:9", []forwardedBy{xff("198.51.100.1")}, "198.51.100.1"},
		{"192.0.2.7:9", []forwardedBy{xff("203.0.113.9, 198.51.100.1")}, "198.51.100.1"}, // the first one is forged
		{proxy, []forwardedBy{xff("203.0.113.9,198.51.100.1 ,\t10.2.3.4, 192.0.2.7")}, "198.51.100.1"},
		{proxy, []forwardedBy{xff("203.0.113.9", "198.51.100.1, 10.1.1.1", "10.2.3.4")}, "198.51.100.1"},
		{proxy, []forwardedBy{xff("10.0.0.3, 10.0.0.2")}, "10.0.0.3"},
		{"[2001:db8:ffff::1]:9", []forwardedBy{xff("2001:db8:1:2:3:4:5:6")}, "2001:db8:1:2:3:4:5:6"},
		{proxy, []forwardedBy{xff("198.51.100.1:4711")}, "198.51.100.1"},
		{proxy, []forwardedBy{xff("[2001:db8:1:2::5]:4711")}, "2001:db8:1:2::5"},
		{proxy, []forwardedBy{xff("[2001:db8:1:2::5]")}, "2001:db8:1:2::5"},
		{proxy, []forwardedBy{xff("::ffff:198.51.100.1")}, "198.51.100.1"},
		{proxy, []forwardedBy{xff("[::ffff:198.51.100.1]:80")}, "198.51.100.1"},
		{proxy, []forwardedBy{xff(`"198.51.100.1"`)}, "198.51.100.1"},
		{proxy, []forwardedBy{xff(`"[2001:db8:1:2::5]:4711"`)}, "2001:db8:1:2::5"},
		{proxy, []forwardedBy{xff("198.51.100.1,")}, "198.51.100.1"},
		{proxy, []forwardedBy{xff("198.51.100.1, , ,10.0.0.2 ,,\t")}, "198.51.100.1"},
		{proxy, []forwardedBy{xff("198.51.100.1", "")}, "198.51.100.1"},

		// The headers of a peer that is not a trusted proxy are ignored.
		{"198.51.100.1:9", []forwardedBy{xff("203.0.113.9"), rfc("for=203.0.113.9"), realIP("203.0.113.9")}, "198.51.100.1"},
		{"192.0.2.8:9", []forwardedBy{xff("203.0.113.9, 10.0.0.1")}, "192.0.2.8"},

		// If an element cannot be parsed, the address of the proxy that wrote it counts.
		{proxy, []forwardedBy{xff("")}, "10.0.0.1"},
		{proxy, []forwardedBy{xff(",")}, "10.0.0.1"},
		{proxy, []forwardedBy{xff("unknown")}, "10.0.0.1"},
		{proxy, []forwardedBy{xff("198.51.100.1, unknown, 10.0.0.2")}, "10.0.0.2"},
		{proxy, []forwardedBy{xff("198.51.100.1 10.0.0.2")}, "10.0.0.1"},
		{proxy, []forwardedBy{xff("198.51.100.1\x00")}, "10.0.0.1"},
		{proxy, []forwardedBy{xff("198.51.100.256")}, "10.0.0.1"},
		{proxy, []forwardedBy{xff(`"198.51.100.1`)}, "10.0.0.1"},
		{proxy, []forwardedBy{xff("[2001:db8:1:2::5")}, "10.0.0.1"},
		{proxy, []forwardedBy{xff("[2001:db8:1:2::5]x")}, "10.0.0.1"},

		{proxy, []forwardedBy{rfc("for=198.51.100.1")}, "198.51.100.1"},
		{proxy, []forwardedBy{rfc(`For="[2001:db8:1:2::5]:4711";proto=https;by=10.0.0.1`)}, "2001:db8:1:2::5"},
		{proxy, []forwardedBy{rfc(`proto=https; FOR=198.51.100.1 ;host="a,b;c=\"d"`)}, "198.51.100.1"},
		{proxy, []forwardedBy{rfc("for=203.0.113.9, for=198.51.100.1;by=10.0.0.2, for=10.0.0.2")}, "198.51.100.1"},
		{proxy, []forwardedBy{rfc("for=203.0.113.9", "for=198.51.100.1", "for=10.0.0.2,")}, "198.51.100.1"},
		{proxy, []forwardedBy{rfc("for=198.51.100.1;")}, "198.51.100.1"},
		{proxy, []forwardedBy{rfc(`for="198.51.100.1:_port"`)}, "198.51.100.1"},
		{proxy, []forwardedBy{rfc(`for=203.0.113.9, for="`, `for=198.51.100.1`)}, "198.51.100.1"},         // an unclosed quoted string
		{proxy, []forwardedBy{rfc(`for=203.0.113.9, for="x, for="[2001:db8:1::5]:80"`)}, "2001:db8:1::5"}, // the same
		{proxy, []forwardedBy{rfc(`for="\", for=198.51.100.1`)}, "198.51.100.1"},
		{proxy, []forwardedBy{rfc(`for=198.51.100.1;host="\\\", for=203.0.113.9"`)}, "198.51.100.1"},
		{proxy, []forwardedBy{rfc("for=unknown")}, "10.0.0.1"},
		{proxy, []forwardedBy{rfc("for=198.51.100.1, for=_hidden")}, "10.0.0.1"},
		{proxy, []forwardedBy{rfc("proto=https")}, "10.0.0.1"},
		{proxy, []forwardedBy{rfc("host=x;for=203.0.113.9;for=198.51.100.1")}, "10.0.0.1"}, // duplicate "for"
		{proxy, []forwardedBy{rfc(`for="198.51.100.1"x`)}, "10.0.0.1"},
		{proxy, []forwardedBy{rfc(`for="198.51.100.1`)}, "10.0.0.1"},
		{proxy, []forwardedBy{rfc("198.51.100.1")}, "10.0.0.1"},
		{proxy, []forwardedBy{rfc("=;=,;")}, "10.0.0.1"},

		{proxy, []forwardedBy{realIP("198.51.100.1")}, "198.51.100.1"},
		{proxy, []forwardedBy{realIP("[2001:db8:1:2::5]:4711")}, "2001:db8:1:2::5"},
		{proxy, []forwardedBy{realIP("none")}, "10.0.0.1"},

		// A header that proxies append to takes precedence over one that the client may have sent.
		{proxy, []forwardedBy{xff("198.51.100.1"), rfc("for=203.0.113.9"), realIP("203.0.113.9")}, "198.51.100.1"},
		{proxy, []forwardedBy{rfc("for=198.51.100.1"), realIP("203.0.113.9")}, "198.51.100.1"},
		{proxy, []forwardedBy{xff("unknown"), rfc("for=203.0.113.9")}, "10.0.0.1"},
		{proxy, []forwardedBy{xff(" , "), rfc("for=198.51.100.1")}, "198.51.100.1"}, // a header without a value is ignored
	} {
		if got := s.resolve(c.remote, c.headers...); got != c.want {
			t.Errorf("peer %s, headers %q: got %s, want %s", c.remote, c.headers, got, c.want)
		}
	}
}

func FuzzClientIP(f *testing.F) {
	f.Add("198.51.100.1, 10.0.0.1", "unknown,[::1]:5")
	f.Add(`for="[2001:db8::1]:4711";proto=https, for="`, `for="\", host="a\\";for=1.2.3.4`)
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, header := range forwardingHeaders {
			s := newTestResolver(slog.New(slog.DiscardHandler))
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Header[header.name] = "10.0.0.1:9", []string{one, two}
			got := s.ClientIP(r)
			if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
				t.Errorf("%s: %q, %q: got %v, want a normalized address", header.name, one, two, got)
			}
			r.RemoteAddr = "192.0.2.1:9"
			if got := s.ClientIP(r); got.String() != "192.0.2.1" {
				t.Errorf("peer that is not a proxy: got %v, want 192.0.2.1", got)
			}
			// Whatever the client sends, the address that the proxy appends counts.
			r.RemoteAddr = "10.0.0.1:9"
			appended := "198.51.100.1"
			if header.name == "Forwarded" {
				appended = `for="198.51.100.1:5";host="a,\"b\\"`
			}
			for _, lines := range [][]string{{one, two, appended}, {one, two + "," + appended}} {
				r.Header[header.name] = lines
				if got := s.ClientIP(r).String(); got != "198.51.100.1" {
					t.Errorf("%s: %q: got %s, want 198.51.100.1", header.name, lines, got)
				}
			}
		}
	})
}

// TestDetectProxy checks that a proxy that is not named with --trusted-proxy is logged
// once, and that no address is logged.
func TestDetectProxy(t *testing.T) {
	direct := func(remote string, times int) func(*Resolver) {
		return func(s *Resolver) {
			for range times {
				s.resolve(remote)
			}
		}
	}
	by := func(remote string, headers ...forwardedBy) func(*Resolver) {
		return func(s *Resolver) {
			s.resolve(remote, headers...)
			s.resolve(remote, headers...)
		}
	}
	for name, c := range map[string]struct {
		do   []func(*Resolver)
		want string // part of the only line; empty for none
	}{
		"one private peer":       {[]func(*Resolver){direct("172.16.0.1:1", 500)}, "all requests come from one address"},
		"the same machine":       {[]func(*Resolver){direct("[::1]:1", 500)}, "all requests come from one address"},
		"few requests":           {[]func(*Resolver){direct("172.16.0.1:1", 99)}, ""},
		"two private peers":      {[]func(*Resolver){direct("172.16.0.1:1", 50), direct("172.16.0.2:1", 1), direct("172.16.0.1:1", 500)}, ""},
		"a public peer":          {[]func(*Resolver){direct("198.51.100.1:1", 500)}, ""},
		"a trusted proxy":        {[]func(*Resolver){direct("10.0.0.1:1", 500), by("10.0.0.1:1", xff("198.51.100.1"))}, ""},
		"a header":               {[]func(*Resolver){by("172.16.0.1:1", xff("198.51.100.1"))}, "requests carry X-Forwarded-For and do not"},
		"another header":         {[]func(*Resolver){by("172.16.0.1:1", realIP("198.51.100.1")), direct("172.16.0.1:1", 500)}, "requests carry X-Real-Ip and do not"},
		"a header from outside":  {[]func(*Resolver){by("198.51.100.1:1", rfc("for=203.0.113.9"))}, "requests carry Forwarded and do not come from a trusted proxy"},
		"a contradiction":        {[]func(*Resolver){by("10.0.0.1:1", xff("203.0.113.9"), realIP("198.51.100.1"))}, "sends both X-Forwarded-For and X-Real-Ip"},
		"no contradiction":       {[]func(*Resolver){by("10.0.0.1:1", xff("203.0.113.9, 198.51.100.1"), realIP("198.51.100.1"))}, ""},
		"the last proxy's proxy": {[]func(*Resolver){by("10.0.0.1:1", xff("198.51.100.1, 10.0.0.2"), realIP("10.0.0.2"))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			s := newTestResolver(slog.New(slog.NewTextHandler(&log, nil)))
			for _, do := range c.do {
				do(s)
			}
			got := log.String()
			if strings.Count(got, "\n") > 1 || (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got log %q, want one line with %q", got, c.want)
			}
			for _, address := range []string{"198.51", "203.0", "172.16", "10.0", "::1"} {
				if strings.Contains(got, address) {
					t.Errorf("the log contains an address: %s", got)
				}
			}
		})
	}
}

func TestClientIPDoesNotAllocate(t *testing.T) {
	s := newTestResolver(slog.New(slog.DiscardHandler))
	r := httptest.NewRequest("GET", "/", nil)
	for _, remote := range []string{"198.51.100.1:9", "[2001:db8::1]:9", "172.16.0.1:9"} {
		r.RemoteAddr = remote
		if n := testing.AllocsPerRun(1000, func() { s.ClientIP(r) }); n > 0 {
			t.Errorf("peer %s: got %v allocations, want 0", remote, n)
		}
	}
}
