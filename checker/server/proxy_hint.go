package server

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// manyRequests is from how many requests on it is odd that all come from one
// private address.
const manyRequests = 100

// proxyHint notices a proxy that the operator has not named with --trusted-proxy, so
// that all clients behind it share one rate limit. It reports that once.
type proxyHint struct {
	given  atomic.Bool   // there is nothing more to notice
	hidden chan struct{} // closed when it is given
	many   atomic.Bool   // requests come from several addresses, or a public one
	differ atomic.Bool   // a trusted proxy has named two clients of one request

	mu   sync.Mutex
	peer netip.Addr // of all requests so far
	n    int        // of them
}

func newProxyHint() *proxyHint { return &proxyHint{hidden: make(chan struct{})} }

// lookForProxy looks at a request whose peer is no trusted proxy.
func (s *Server) lookForProxy(peer netip.Addr, h http.Header) {
	p := s.hint
	if p.given.Load() {
		return
	}
	header := ""
	for _, f := range forwarding {
		if len(h[f.name]) > 0 {
			header = f.name
			break
		}
	}
	if header == "" && (p.many.Load() || !p.only(peer)) || !p.given.CompareAndSwap(false, true) {
		return
	}
	close(p.hidden)
	const shared = "; otherwise all its clients share one rate limit"
	if header == "" {
		s.log.Warn("all requests come from one address of a private network: if that is a proxy, have it send X-Forwarded-For and name its address with --trusted-proxy" + shared)
		return
	}
	s.log.Warn("requests carry " + header + " and do not come from a trusted proxy: if a proxy of yours adds it, name its address with --trusted-proxy" + shared)
}

// only counts a request, and reports whether many have come from one private address
// and none from another.
func (p *proxyHint) only(peer netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		p.peer = peer
	}
	if peer != p.peer || !isPrivate(peer) {
		p.many.Store(true)
		return false
	}
	p.n++
	return p.n >= manyRequests
}

// hintAtContradiction reports once that a trusted proxy has named two clients of one
// request, in the header that counts and in another.
func (s *Server) hintAtContradiction(by string, from netip.Addr, ignored string, other netip.Addr) {
	if other == from || s.trusts(other) || !s.hint.differ.CompareAndSwap(false, true) {
		return
	}
	s.log.Warn("a trusted proxy sends both " + by + " and " + ignored + ", which name different clients; " + by +
		" counts: if the proxy does not set it, have the proxy remove it from requests, or clients can forge their address")
}

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// isPrivate reports whether an address is one that a proxy within the operator's
// network may have, and no client on the internet.
func isPrivate(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || sharedSpace.Contains(a)
}

// keep has the store know whether the hint is given, for doctor, until ctx ends. The
// store is told no address.
func (p *proxyHint) keep(ctx context.Context, store Store) {
	p.store(ctx, store, false)
	select {
	case <-p.hidden:
		p.store(ctx, store, true)
	case <-ctx.Done():
	}
}

// store tries until it is done, or ctx ends.
func (p *proxyHint) store(ctx context.Context, store Store, hidden bool) {
	for ctx.Err() == nil {
		within, cancel := context.WithTimeout(ctx, patience)
		err := store.SetClientsHidden(within, hidden)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-time.After(logPause):
		case <-ctx.Done():
		}
	}
}
