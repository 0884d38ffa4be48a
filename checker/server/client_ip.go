package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwarding lists the headers in which a proxy names the client, in the order in
// which they count. X-Forwarded-For comes first because most proxies append to it:
// where it is set, a client cannot choose its address by sending one of the others.
var forwarding = [...]struct {
	name string
	hop  func(element string) (netip.Addr, bool)
}{
	{"X-Forwarded-For", parseHop},
	{"Forwarded", parseForwarded},
	{"X-Real-Ip", parseHop},
}

// source returns the client IP of a request: the address of its peer or, if that is a
// trusted proxy, the address that the proxy names. It is invalid if the peer has no
// IP address.
func (s *Server) source(r *http.Request) netip.Addr {
	var peer netip.Addr
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		peer = plain(at.Addr())
	}
	if s.trusts(peer) {
		return s.behind(peer, r.Header)
	}
	s.lookForProxy(peer, r.Header)
	return peer
}

// behind returns the client IP that a trusted proxy names. Only the first header of
// [forwarding] that has a value counts.
func (s *Server) behind(proxy netip.Addr, h http.Header) netip.Addr {
	from, by := proxy, ""
	for _, f := range forwarding {
		list := listOf(h[f.name])
		switch {
		case list == "":
		case by == "":
			from, by = s.lastUntrusted(proxy, list, f.hop), f.name
		default:
			s.hintAtContradiction(by, from, f.name, s.lastUntrusted(proxy, list, f.hop))
		}
	}
	return from
}

// listOf joins the lines of a header that is a list.
func listOf(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Trim(strings.Join(lines, ","), ", \t")
}

// lastUntrusted returns the last address of a list that is no trusted proxy. Each
// proxy has appended the address of its own client; whatever stands before the last
// untrusted one may be forged. If an element cannot be read, the last proxy after it
// stands for all its clients.
func (s *Server) lastUntrusted(proxy netip.Addr, list string, hop func(string) (netip.Addr, bool)) netip.Addr {
	from := proxy
	for list != "" && s.trusts(from) {
		var element string
		list, element = cutLast(list)
		if element = strings.Trim(element, " \t"); element == "" {
			continue
		}
		addr, ok := hop(element)
		if !ok {
			break
		}
		from = addr
	}
	return from
}

// cutLast cuts a list at its last comma that is not in a quoted string. It reads
// from the end, which the nearest proxy has written: a quotation mark that a client
// leaves open cannot hide what was appended.
func cutLast(list string) (before, last string) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case list[i] == '"' && !escaped(list[:i]):
			quoted = !quoted
		case list[i] == ',' && !quoted:
			return list[:i], list[i+1:]
		}
	}
	return "", list
}

// escaped reports whether what follows s in a quoted string is escaped by it.
func escaped(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// parseForwarded reads the parameter "for" of an element of the header Forwarded
// (RFC 7239), such as for="[2001:db8::1]:4711";proto=https.
func parseForwarded(element string) (addr netip.Addr, ok bool) {
	for element != "" {
		name, rest, found := strings.Cut(element, "=")
		value, after, whole := cutValue(rest)
		if !found || !whole || after != "" && after[0] != ';' {
			return netip.Addr{}, false
		}
		if strings.EqualFold(strings.Trim(name, " \t"), "for") {
			if ok { // there may be one only
				return netip.Addr{}, false
			}
			if addr, ok = parseHop(value); !ok {
				return netip.Addr{}, false
			}
		}
		element = strings.TrimLeft(after, "; \t")
	}
	return addr, ok
}

// cutValue cuts s after the value of a parameter, which may be a quoted string.
func cutValue(s string) (value, rest string, ok bool) {
	s = strings.Trim(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s, ';')
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], !strings.Contains(s[:end], `"`)
	}
	for i := 1; i < len(s); i++ {
		if s[i] == '"' && !escaped(s[1:i]) {
			return s[1:i], strings.TrimLeft(s[i+1:], " \t"), true
		}
	}
	return "", "", false
}

// parseHop reads an IP address, to which some proxies add a port, brackets or
// quotation marks.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.Trim(s, " \t")
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		s = strings.Trim(s[1:len(s)-1], " \t")
	}
	if inside, found := strings.CutPrefix(s, "["); found {
		host, port, closed := strings.Cut(inside, "]")
		if !closed || port != "" && port[0] != ':' {
			return netip.Addr{}, false
		}
		s = host
	} else if strings.Count(s, ":") == 1 {
		s, _, _ = strings.Cut(s, ":")
	}
	addr, err := netip.ParseAddr(s)
	return plain(addr), err == nil
}

// plain returns the one form of an address that has several.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func (s *Server) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(s.options.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
