package server

import (
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// forwardedBy is one line or more of a header of [forwarding].
type forwardedBy struct {
	name  string
	lines []string
}

func xff(lines ...string) forwardedBy    { return forwardedBy{"X-Forwarded-For", lines} }
func rfc(lines ...string) forwardedBy    { return forwardedBy{"Forwarded", lines} }
func realIP(lines ...string) forwardedBy { return forwardedBy{"X-Real-Ip", lines} }

func behindProxies(log *slog.Logger) *Server {
	s := &Server{hint: newProxyHint(), log: log}
	for _, p := range []string{"10.0.0.0/8", "192.0.2.7/32", "2001:db8:ffff::/48"} {
		s.options.TrustedProxies = append(s.options.TrustedProxies, netip.MustParsePrefix(p))
	}
	return s
}

func (s *Server) sourceOf(remote string, headers ...forwardedBy) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = remote
	for _, h := range headers {
		r.Header[h.name] = h.lines
	}
	return s.source(r).String()
}

func TestClientIP(t *testing.T) {
	const proxy = "10.0.0.1:9"
	s := behindProxies(slog.New(slog.DiscardHandler))
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

		// A peer that is no trusted proxy can name whom it likes.
		{"198.51.100.1:9", []forwardedBy{xff("203.0.113.9"), rfc("for=203.0.113.9"), realIP("203.0.113.9")}, "198.51.100.1"},
		{"192.0.2.8:9", []forwardedBy{xff("203.0.113.9, 10.0.0.1")}, "192.0.2.8"},

		// Where an element cannot be read, the proxy that wrote it stands for its clients.
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
		{proxy, []forwardedBy{rfc(`for=203.0.113.9, for="`, `for=198.51.100.1`)}, "198.51.100.1"},         // a quoted string left open
		{proxy, []forwardedBy{rfc(`for=203.0.113.9, for="x, for="[2001:db8:1::5]:80"`)}, "2001:db8:1::5"}, // the same
		{proxy, []forwardedBy{rfc(`for="\", for=198.51.100.1`)}, "198.51.100.1"},
		{proxy, []forwardedBy{rfc(`for=198.51.100.1;host="\\\", for=203.0.113.9"`)}, "198.51.100.1"},
		{proxy, []forwardedBy{rfc("for=unknown")}, "10.0.0.1"},
		{proxy, []forwardedBy{rfc("for=198.51.100.1, for=_hidden")}, "10.0.0.1"},
		{proxy, []forwardedBy{rfc("proto=https")}, "10.0.0.1"},
		{proxy, []forwardedBy{rfc("host=x;for=203.0.113.9;for=198.51.100.1")}, "10.0.0.1"}, // "for" may be there once
		{proxy, []forwardedBy{rfc(`for="198.51.100.1"x`)}, "10.0.0.1"},
		{proxy, []forwardedBy{rfc(`for="198.51.100.1`)}, "10.0.0.1"},
		{proxy, []forwardedBy{rfc("198.51.100.1")}, "10.0.0.1"},
		{proxy, []forwardedBy{rfc("=;=,;")}, "10.0.0.1"},

		{proxy, []forwardedBy{realIP("198.51.100.1")}, "198.51.100.1"},
		{proxy, []forwardedBy{realIP("[2001:db8:1:2::5]:4711")}, "2001:db8:1:2::5"},
		{proxy, []forwardedBy{realIP("none")}, "10.0.0.1"},

		// What a proxy appends to counts more than what a client may have sent.
		{proxy, []forwardedBy{xff("198.51.100.1"), rfc("for=203.0.113.9"), realIP("203.0.113.9")}, "198.51.100.1"},
		{proxy, []forwardedBy{rfc("for=198.51.100.1"), realIP("203.0.113.9")}, "198.51.100.1"},
		{proxy, []forwardedBy{xff("unknown"), rfc("for=203.0.113.9")}, "10.0.0.1"},
		{proxy, []forwardedBy{xff(" , "), rfc("for=198.51.100.1")}, "198.51.100.1"}, // a header without a value is none
	} {
		if got := s.sourceOf(c.remote, c.headers...); got != c.want {
			t.Errorf("from %s by %q: %s, want %s", c.remote, c.headers, got, c.want)
		}
	}
}

func FuzzClientIP(f *testing.F) {
	f.Add("198.51.100.1, 10.0.0.1", "unknown,[::1]:5")
	f.Add(`for="[2001:db8::1]:4711";proto=https, for="`, `for="\", host="a\\";for=1.2.3.4`)
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, header := range forwarding {
			s := behindProxies(slog.New(slog.DiscardHandler))
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Header[header.name] = "10.0.0.1:9", []string{one, two}
			got := s.source(r)
			if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
				t.Errorf("%s: %q, %q: %v", header.name, one, two, got)
			}
			r.RemoteAddr = "192.0.2.1:9"
			if got := s.source(r); got.String() != "192.0.2.1" {
				t.Errorf("not from a proxy: %v", got)
			}
			// Whatever the client sends, what the proxy appends is the client IP.
			r.RemoteAddr = "10.0.0.1:9"
			appended := "198.51.100.1"
			if header.name == "Forwarded" {
				appended = `for="198.51.100.1:5";host="a,\"b\\"`
			}
			for _, lines := range [][]string{{one, two, appended}, {one, two + "," + appended}} {
				r.Header[header.name] = lines
				if got := s.source(r).String(); got != "198.51.100.1" {
					t.Errorf("%s: %q: %s", header.name, lines, got)
				}
			}
		}
	})
}

// A proxy that is not named with --trusted-proxy is noticed, once, and no address is
// logged.
func TestProxyIsNoticed(t *testing.T) {
	direct := func(remote string, times int) func(*Server) {
		return func(s *Server) {
			for range times {
				s.sourceOf(remote)
			}
		}
	}
	by := func(remote string, headers ...forwardedBy) func(*Server) {
		return func(s *Server) {
			s.sourceOf(remote, headers...)
			s.sourceOf(remote, headers...)
		}
	}
	for name, c := range map[string]struct {
		do   []func(*Server)
		want string // of the one line; none without
	}{
		"one private peer":       {[]func(*Server){direct("172.16.0.1:1", 500)}, "all requests come from one address"},
		"the same machine":       {[]func(*Server){direct("[::1]:1", 500)}, "all requests come from one address"},
		"few requests":           {[]func(*Server){direct("172.16.0.1:1", 99)}, ""},
		"two private peers":      {[]func(*Server){direct("172.16.0.1:1", 50), direct("172.16.0.2:1", 1), direct("172.16.0.1:1", 500)}, ""},
		"a public peer":          {[]func(*Server){direct("198.51.100.1:1", 500)}, ""},
		"a trusted proxy":        {[]func(*Server){direct("10.0.0.1:1", 500), by("10.0.0.1:1", xff("198.51.100.1"))}, ""},
		"a header":               {[]func(*Server){by("172.16.0.1:1", xff("198.51.100.1"))}, "requests carry X-Forwarded-For and do not"},
		"another header":         {[]func(*Server){by("172.16.0.1:1", realIP("198.51.100.1")), direct("172.16.0.1:1", 500)}, "requests carry X-Real-Ip and do not"},
		"a header from outside":  {[]func(*Server){by("198.51.100.1:1", rfc("for=203.0.113.9"))}, "requests carry Forwarded and do not come from a trusted proxy"},
		"a contradiction":        {[]func(*Server){by("10.0.0.1:1", xff("203.0.113.9"), realIP("198.51.100.1"))}, "sends both X-Forwarded-For and X-Real-Ip"},
		"no contradiction":       {[]func(*Server){by("10.0.0.1:1", xff("203.0.113.9, 198.51.100.1"), realIP("198.51.100.1"))}, ""},
		"the last proxy's proxy": {[]func(*Server){by("10.0.0.1:1", xff("198.51.100.1, 10.0.0.2"), realIP("10.0.0.2"))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			s := behindProxies(slog.New(slog.NewTextHandler(&log, nil)))
			for _, do := range c.do {
				do(s)
			}
			said := log.String()
			if strings.Count(said, "\n") > 1 || (said == "") != (c.want == "") || !strings.Contains(said, c.want) {
				t.Errorf("the log is %q, want %q", said, c.want)
			}
			for _, address := range []string{"198.51", "203.0", "172.16", "10.0", "::1"} {
				if strings.Contains(said, address) {
					t.Errorf("an address is in the log: %s", said)
				}
			}
		})
	}
}

// Direct clients cost no allocation.
func TestClientIPAllocatesNothing(t *testing.T) {
	s := behindProxies(slog.New(slog.DiscardHandler))
	r := httptest.NewRequest("GET", "/", nil)
	for _, remote := range []string{"198.51.100.1:9", "[2001:db8::1]:9", "172.16.0.1:9"} {
		r.RemoteAddr = remote
		if n := testing.AllocsPerRun(1000, func() { s.source(r) }); n > 0 {
			t.Errorf("%s: %v allocations", remote, n)
		}
	}
}
