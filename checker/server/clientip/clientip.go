// Package clientip finds the IP address of the client that sent a request, even if
// the request came through proxies.
package clientip

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwardingHeaders are the headers that name the client behind a proxy, in order of
// precedence. X-Forwarded-For is first because most proxies append to it: if it is set,
// a client cannot choose its address by sending one of the others.
var forwardingHeaders = [...]struct {
	name  string
	parse func(element string) (netip.Addr, bool)
}{
	{"X-Forwarded-For", parseHop},
	{"Forwarded", parseForwarded},
	{"X-Real-Ip", parseHop},
}

// Resolver finds the client IP of requests. It warns once if the proxies seem to be
// configured incorrectly, see [Resolver.Watch].
type Resolver struct {
	trusted []netip.Prefix
	log     *slog.Logger
	hint    proxyHint
}

// NewResolver returns a resolver that believes the headers of trusted proxies.
func NewResolver(trusted []netip.Prefix, log *slog.Logger) *Resolver {
	return &Resolver{trusted: trusted, log: log, hint: proxyHint{detected: make(chan struct{})}}
}

// ClientIP returns the address of the request's peer or, if that is a trusted proxy, the
// address that the proxy names. It is invalid if the peer has no IP address.
func (r *Resolver) ClientIP(req *http.Request) netip.Addr {
	var peer netip.Addr
	if addr, err := netip.ParseAddrPort(req.RemoteAddr); err == nil {
		peer = normalize(addr.Addr())
	}
	if r.trusts(peer) {
		return r.forwardedIP(peer, req.Header)
	}
	r.detectProxy(peer, req.Header)
	return peer
}

// forwardedIP returns the client IP that a trusted proxy names. Only the first of the
// [forwardingHeaders] that has a value counts.
func (r *Resolver) forwardedIP(proxy netip.Addr, h http.Header) netip.Addr {
	client, header := proxy, ""
	for _, f := range forwardingHeaders {
		list := strings.Trim(strings.Join(h[f.name], ","), ", \t")
		switch {
		case list == "":
		case header == "":
			client, header = r.lastUntrusted(proxy, list, f.parse), f.name
		default:
			r.compareHeaders(header, client, f.name, r.lastUntrusted(proxy, list, f.parse))
		}
	}
	return client
}

// lastUntrusted returns the last address of a list that is not a trusted proxy. Each
// proxy appends the address of its client, so everything before the last untrusted
// address may be forged. If an element cannot be parsed, the result is the proxy that
// appended it.
func (r *Resolver) lastUntrusted(proxy netip.Addr, list string, parse func(string) (netip.Addr, bool)) netip.Addr {
	client := proxy
	for list != "" && r.trusts(client) {
		var element string
		list, element = cutLast(list)
		if element = strings.Trim(element, " \t"); element == "" {
			continue
		}
		addr, ok := parse(element)
		if !ok {
			break
		}
		client = addr
	}
	return client
}

// cutLast cuts a list at the last comma outside quoted strings. It reads from the end,
// which the nearest proxy wrote: an unclosed quotation mark of the client cannot hide
// what proxies appended.
func cutLast(list string) (before, last string) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case list[i] == '"' && !endsInEscape(list[:i]):
			quoted = !quoted
		case list[i] == ',' && !quoted:
			return list[:i], list[i+1:]
		}
	}
	return "", list
}

// endsInEscape reports whether s ends in a backslash that escapes the next character.
func endsInEscape(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// parseForwarded parses the parameter "for" of an element of the header Forwarded
// (RFC 7239), such as for="[2001:db8::1]:4711";proto=https.
func parseForwarded(element string) (addr netip.Addr, ok bool) {
	for element != "" {
		name, rest, found := strings.Cut(element, "=")
		value, after, valid := cutValue(rest)
		if !found || !valid || after != "" && after[0] != ';' {
			return netip.Addr{}, false
		}
		if strings.EqualFold(strings.Trim(name, " \t"), "for") {
			if ok { // duplicate
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
		if s[i] == '"' && !endsInEscape(s[1:i]) {
			return s[1:i], strings.TrimLeft(s[i+1:], " \t"), true
		}
	}
	return "", "", false
}

// parseHop parses an IP address, to which some proxies add a port, brackets or quotation
// marks.
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
	return normalize(addr), err == nil
}

// normalize returns IPv4 addresses that are mapped to IPv6 as IPv4, and removes the zone.
func normalize(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func (r *Resolver) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(r.trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}
