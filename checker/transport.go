package checker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// transport sends requests over HTTP/1.1. It keeps no connection: each is closed
// after its response, or when the context of its request ends.
type transport struct {
	dial      dialFunc
	proxy     func(*http.Request) (*url.URL, error)
	tlsConfig *tls.Config // nil except in tests
}

func newTransport(config *tls.Config) *transport {
	return &transport{new(net.Dialer).DialContext, proxyFromEnvironment, config}
}

// RoundTrip uses a new [http.Transport] for each request. After a request has ended, a
// shared transport continues to connect because the next request may need a connection: a
// peer that drops packets, or a proxy that hangs, would keep a goroutine in the host for
// minutes.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	plain, secure := t.dial, t.dialTLS
	if via, _ := t.proxy(r); via != nil && r.URL.Scheme == "https" { // TLS passes through the proxy
		plain, secure = rejectTruncation(plain), rejectTruncation(secure)
	}
	once := &http.Transport{
		Proxy:                  t.proxy,
		DialContext:            boundDial(r.Context(), plain),
		DialTLSContext:         boundDial(r.Context(), secure),
		TLSClientConfig:        t.tlsConfig,
		TLSHandshakeTimeout:    timeout,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswer,
	}
	return once.RoundTrip(r)
}

// proxyFromEnvironment is [http.ProxyFromEnvironment] with another error, because the
// original contains the proxy's password.
func proxyFromEnvironment(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("invalid proxy in the environment: check HTTP_PROXY and HTTPS_PROXY")
	}
	return u, nil
}

// redirectTarget returns the URL to which a response redirects a report, or nil if it is
// no redirect. The report is sent there again as POST, which net/http would change to GET
// for 301 and 302. A redirect must stay on the host. It may change http to https, but not
// the reverse.
func redirectTarget(from *url.URL, response *http.Response) (*url.URL, error) {
	switch response.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	location := response.Header.Get("Location")
	if location == "" {
		return nil, nil
	}
	to, err := from.Parse(location)
	switch {
	case err != nil:
		return nil, errors.New("service redirected to an invalid URL in Location")
	case response.StatusCode == http.StatusSeeOther:
		return nil, fmt.Errorf("service answered 303 See Other and refers to %q: if that is a release service, set URL to it", withoutUser(to))
	case !sameHost(from, to):
		return nil, fmt.Errorf("service redirected to another host, %q: if that is intended, set URL to it", to.Host)
	case from.Scheme != to.Scheme && to.Scheme != "https":
		return nil, fmt.Errorf("service redirected from %s to %q", from.Scheme, to.Scheme)
	}
	to.User, to.Fragment = from.User, ""
	return to, nil
}

func withoutUser(u *url.URL) string {
	shown := *u
	shown.User = nil
	return shown.String()
}

// sameHost reports whether both URLs have the same host and port. The default ports of
// http and https are the same.
func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && nonDefaultPort(a) == nonDefaultPort(b)
}

func nonDefaultPort(u *url.URL) string {
	if port := u.Port(); port != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		return port
	}
	return ""
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialTLS opens a TLS connection to a host and port.
func (t *transport) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	raw, err := rejectTruncation(t.dial)(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{}
	if t.tlsConfig != nil {
		config = t.tlsConfig.Clone()
	}
	config.ServerName = host
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// errTruncated is the error of reading from a TLS connection that ends without a
// close_notify alert.
var errTruncated = errors.New("connection truncated: no TLS close_notify alert")

// rejectTruncation returns a dial function for connections below TLS. If such a
// connection ends between two TLS records, crypto/tls reports a regular end. A
// response without a length ends with its connection, so an attacker on the path could
// truncate it. Reads of these connections return errTruncated instead.
func rejectTruncation(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return untruncatedConn{conn}, nil
	}
}

// untruncatedConn is a connection below TLS. Its end is an error.
type untruncatedConn struct{ net.Conn }

func (c untruncatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != io.EOF {
		return n, err
	}
	if n > 0 {
		return n, nil // the next call returns the end
	}
	return 0, errTruncated
}

// boundDial returns a dial function for connections that are closed when ctx ends and
// whose reads wait for the first write. If a server sends data first, net/http would
// otherwise print a line to the host's standard logger.
func boundDial(ctx context.Context, dial dialFunc) dialFunc {
	return func(_ context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &writeFirstConn{Conn: conn, written: make(chan struct{})}
		context.AfterFunc(ctx, func() { c.Close() })
		return c, nil
	}
}

// writeFirstConn is a connection whose reads wait for the first write.
type writeFirstConn struct {
	net.Conn
	written chan struct{}
	once    sync.Once
}

func (c *writeFirstConn) Read(b []byte) (int, error) {
	<-c.written
	return c.Conn.Read(b)
}

func (c *writeFirstConn) Write(b []byte) (int, error) {
	c.open()
	return c.Conn.Write(b)
}

// Close also unblocks a read that waits for the first write.
func (c *writeFirstConn) Close() error {
	c.open()
	return c.Conn.Close()
}

func (c *writeFirstConn) open() { c.once.Do(func() { close(c.written) }) }
