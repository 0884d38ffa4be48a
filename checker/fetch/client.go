package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// maxIdle is the number of idle connections to a host.
const maxIdle = 8

// NewClient returns a client for upstreams. Redirects may lead to another host, because
// proxies may keep files elsewhere, but not from https to http. A redirect from a public
// address cannot lead into a private network: otherwise an upstream could reach hosts that
// only this machine can reach. A server in a private network may redirect within it. See
// also [PublicOnly].
func NewClient() *http.Client {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	public := *dialer
	public.Control = checkPublic
	t := &transport{any: newTransport(dialer), public: newTransport(&public)}
	t.any.Proxy = proxyOf
	return &http.Client{Transport: t, CheckRedirect: checkRedirect}
}

// WithRedirectRules returns a copy of a client that follows redirects by the rules of
// [NewClient], unless the client has rules of its own.
func WithRedirectRules(client *http.Client) *http.Client {
	c := *client
	if c.CheckRedirect == nil {
		c.CheckRedirect = checkRedirect
	}
	return &c
}

func newTransport(d *net.Dialer) *http.Transport {
	return &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10}
}

type publicOnly struct{}

// PublicOnly returns a context for requests to URLs that the operator has not chosen. With
// it, a client of [NewClient] connects only to public addresses. The check is made when the
// connection is made, because a name may have another address by then.
func PublicOnly(ctx context.Context) context.Context {
	return context.WithValue(ctx, publicOnly{}, true)
}

// transport keeps connections that may lead into a private network apart from others.
type transport struct{ any, public *http.Transport }

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	switch proxy, err := proxyOf(r); {
	case err != nil:
		return nil, err
	case proxy == nil && !mayBePrivate(r):
		return t.public.RoundTrip(r)
	case proxy != nil && !mayBePrivate(r) && Private(r.Context(), r.URL.Hostname()):
		return nil, &RefusedError{quote(r.URL.Host) + " is in a private network"}
	}
	return t.any.RoundTrip(r)
}

// proxyOf keeps an HTTP proxy's password out of errors.
func proxyOf(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("invalid proxy URL in HTTP_PROXY or HTTPS_PROXY")
	}
	return u, nil
}

func (t *transport) CloseIdleConnections() {
	t.any.CloseIdleConnections()
	t.public.CloseIdleConnections()
}

// mayBePrivate reports whether a request may be sent into a private network.
func mayBePrivate(r *http.Request) bool {
	if r.Context().Value(publicOnly{}) != nil {
		return false
	}
	first := r
	for first.Response != nil && first.Response.Request != nil { // the redirect that led here
		first = first.Response.Request
	}
	return first.URL.Hostname() == r.URL.Hostname() || Private(r.Context(), first.URL.Hostname())
}

// RefusedError is the reason why a request was not sent.
type RefusedError struct{ reason string }

func (e *RefusedError) Error() string { return e.reason }

// checkPublic is called with the address of each connection before it is made.
func checkPublic(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !isPublic(at.Addr()) {
		return &RefusedError{"the server has the private address " + address}
	}
	return nil
}

// checkRedirect allows or refuses a redirect. A token is sent to the first server only. By
// default, package net/http would also send it to other ports and to subdomains.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first, last := via[0].URL, via[len(via)-1].URL
	if next.URL.Scheme != first.Scheme || next.URL.Host != first.Host {
		next.Header.Del("Authorization")
	}
	switch to := next.URL; {
	case len(via) > 5:
		return &RefusedError{"redirected more than 5 times"}
	case to.Scheme != "https" && to.Scheme != last.Scheme:
		return &RefusedError{fmt.Sprintf("redirected from %s to %s", last.Scheme, quote(to.Scheme))}
	case to.Hostname() != first.Hostname() && Private(next.Context(), to.Hostname()) && !Private(next.Context(), first.Hostname()):
		return &RefusedError{fmt.Sprintf("redirected into a private network, to %s: if that is intended, use that address", quote(to.Host))}
	}
	return nil
}

// Follow returns a context for a request to a URL that is in a response of another one. The
// rules are those of redirects.
func Follow(ctx context.Context, from, to *url.URL) (context.Context, error) {
	next := &http.Request{URL: to, Header: http.Header{}}
	if err := checkRedirect(next.WithContext(ctx), []*http.Request{{URL: from}}); err != nil {
		return nil, err
	}
	if to.Hostname() != from.Hostname() && !Private(ctx, from.Hostname()) {
		ctx = PublicOnly(ctx)
	}
	return ctx, nil
}

// carrierGrade is the range for shared address space of providers, which some clouds
// use for internal services.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !carrierGrade.Contains(a)
}

// Private reports whether a host has an address that is not public. A name that cannot
// be resolved is reachable only through an HTTP proxy, which has its own rules.
func Private(ctx context.Context, host string) bool {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false
	}
	for _, a := range addresses {
		if !isPublic(a) {
			return true
		}
	}
	return false
}

func quote(s string) string { return fmt.Sprintf("%.100q", s) }
