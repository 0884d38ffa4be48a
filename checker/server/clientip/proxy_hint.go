package clientip

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
)

// suspiciousRequests is the number of requests from a single private address, and from
// no other, after which the address is taken for a proxy.
const suspiciousRequests = 100

// proxyHint detects a proxy that the operator has not named with --trusted-proxy. All
// clients behind such a proxy share one rate limit.
type proxyHint struct {
	done       atomic.Bool   // a proxy was detected and logged
	detected   chan struct{} // closed at the same time
	manyPeers  atomic.Bool   // requests come from several addresses, or from a public one
	contradict atomic.Bool   // a contradiction between headers was logged

	mu       sync.Mutex
	peer     netip.Addr // the only one so far
	requests int        // from it
}

// detectProxy looks for signs that an untrusted peer is a proxy, and logs the first.
func (r *Resolver) detectProxy(peer netip.Addr, h http.Header) {
	p := &r.hint
	if p.done.Load() {
		return
	}
	header := ""
	for _, f := range forwardingHeaders {
		if len(h[f.name]) > 0 {
			header = f.name
			break
		}
	}
	if header == "" && (p.manyPeers.Load() || !p.onlyPeer(peer)) || !p.done.CompareAndSwap(false, true) {
		return
	}
	close(p.detected)
	const shared = "; otherwise all its clients share one rate limit"
	if header == "" {
		r.log.Warn("all requests come from one address of a private network: if that is a proxy, have it send X-Forwarded-For and name its address with --trusted-proxy" + shared)
		return
	}
	r.log.Warn("requests carry " + header + " and do not come from a trusted proxy: if a proxy of yours adds it, name its address with --trusted-proxy" + shared)
}

// onlyPeer counts a request, and reports whether many requests have come from this
// private address and none from another.
func (p *proxyHint) onlyPeer(peer netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.requests == 0 {
		p.peer = peer
	}
	if peer != p.peer || !isPrivate(peer) {
		p.manyPeers.Store(true)
		return false
	}
	p.requests++
	return p.requests >= suspiciousRequests
}

// compareHeaders logs once that a trusted proxy has named two clients of one request:
// one in the header that counts, and another in a header that is ignored.
func (r *Resolver) compareHeaders(header string, client netip.Addr, ignored string, other netip.Addr) {
	if other == client || r.trusts(other) || !r.hint.contradict.CompareAndSwap(false, true) {
		return
	}
	r.log.Warn("a trusted proxy sends both " + header + " and " + ignored + ", which name different clients; " + header +
		" counts: if the proxy does not set it, have the proxy remove it from requests, or clients can forge their address")
}

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// isPrivate reports whether a proxy in the operator's network may have an address, and a
// client on the internet may not.
func isPrivate(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || sharedSpace.Contains(a)
}

// Watch reports whether the clients seem to be hidden behind a proxy that is not trusted:
// false at first, and true once such a proxy is detected. It returns when ctx ends, or
// after the second report.
func (r *Resolver) Watch(ctx context.Context, report func(ctx context.Context, hidden bool)) {
	report(ctx, false)
	select {
	case <-r.hint.detected:
		report(ctx, true)
	case <-ctx.Done():
	}
}
