package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// source is the address that a request comes from; of IPv6 the network, which
// is what one customer of a provider has at least. What proxies say of it counts
// as far as they are the operator's.
func (s *Server) source(r *http.Request) netip.Addr {
	var from netip.Addr // of those that cannot be read, which are one
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		from = plain(at.Addr())
	}
	if forwarded := r.Header["X-Forwarded-For"]; len(forwarded) > 0 {
		if s.trusts(from) {
			from = s.behind(from, strings.Join(forwarded, ","))
		} else {
			s.hintAtProxy()
		}
	}
	if from.Is6() {
		return netip.PrefixFrom(from, 64).Masked().Addr()
	}
	return from
}

// behind returns the last address before those of the operator's proxies: each
// has added to the end whom it was asked by, and whatever stands before that may
// be made up.
func (s *Server) behind(proxy netip.Addr, forwarded string) netip.Addr {
	from := proxy
	for more := true; more && s.trusts(from); {
		var hop string
		end := strings.LastIndexByte(forwarded, ',')
		more, hop = end >= 0, forwarded[end+1:]
		forwarded = forwarded[:max(end, 0)]
		addr, ok := parseHop(strings.Trim(hop, " \t"))
		if !ok {
			break
		}
		from = addr
	}
	return from
}

// parseHop reads an address, to which some proxies add the port.
func parseHop(s string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return plain(addr), true
	}
	at, err := netip.ParseAddrPort(s)
	return plain(at.Addr()), err == nil
}

// plain returns the one form of an address that has several.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func (s *Server) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(s.options.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// hintAtProxy says once what an operator may have forgotten.
func (s *Server) hintAtProxy() {
	s.hinted.Do(func() {
		s.log.Warn("requests carry X-Forwarded-For, and do not come from a trusted proxy; if a proxy of yours adds it, " +
			"name it with --trusted-proxy, or all its callers share one budget")
	})
}
