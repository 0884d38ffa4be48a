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

// transport sends requests and leaves nothing behind: its connections end with
// the answer they carried, or with the request's context. It speaks HTTP/1 only,
// as custom dial functions do by default.
type transport struct {
	plain  dial
	proxy  func(*http.Request) (*url.URL, error)
	config *tls.Config // nil but in tests
}

func newTransport(config *tls.Config) *transport {
	return &transport{new(net.Dialer).DialContext, proxyFromEnvironment, config}
}

// RoundTrip has a [http.Transport] of its own for each request. A shared one goes
// on to connect when a request has ended, for the sake of the next: who drops its
// packets, or a proxy that hangs, would hold a goroutine of the host for minutes.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	plain, secure := t.plain, t.dialTLS
	if via, _ := t.proxy(r); via != nil && r.URL.Scheme == "https" { // the proxy passes TLS on
		plain, secure = carriesTLS(plain), carriesTLS(secure)
	}
	once := &http.Transport{
		Proxy:                  t.proxy,
		DialContext:            bound(r.Context(), plain),
		DialTLSContext:         bound(r.Context(), secure),
		TLSClientConfig:        t.config,
		TLSHandshakeTimeout:    timeout,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswer,
	}
	return once.RoundTrip(r)
}

// proxyFromEnvironment is http.ProxyFromEnvironment, whose error would show the
// proxy's password.
func proxyFromEnvironment(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("no proxy can be taken from the environment: look at HTTP_PROXY and HTTPS_PROXY")
	}
	return u, nil
}

// checkRedirect follows a redirect on the host that was asked and nowhere else.
// It may lead from http to https, never back.
func checkRedirect(next *http.Request, via []*http.Request) error {
	from, to := via[len(via)-1].URL, next.URL
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("service redirected more than %d times", maxRedirects)
	case !strings.EqualFold(from.Host, to.Host):
		return fmt.Errorf("service redirected to another host, %q; if that is right, set URL to it", to.Host)
	case from.Scheme != to.Scheme && to.Scheme != "https":
		return fmt.Errorf("service redirected from %s to %q", from.Scheme, to.Scheme)
	}
	next.Header.Del("Referer")
	next.Close = true
	return nil
}

type dial func(ctx context.Context, network, address string) (net.Conn, error)

// dialTLS opens a TLS connection to a host and port.
func (t *transport) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	raw, err := carriesTLS(t.plain)(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{}
	if t.config != nil {
		config = t.config.Clone()
	}
	config.ServerName = host
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// errCut is the error of a TLS connection that ends without a close_notify alert.
var errCut = errors.New("the connection was cut: it ended without a TLS close_notify alert")

// carriesTLS makes connections for TLS. If one ends between two TLS records,
// crypto/tls takes that for the end that the server meant. An answer without a
// length ends with its connection, so anybody on the path could shorten it: such
// connections fail with errCut instead.
func carriesTLS(dial dial) dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return carrier{conn}, nil
	}
}

// carrier is a connection below TLS, whose end is an error.
type carrier struct{ net.Conn }

func (c carrier) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != io.EOF {
		return n, err
	}
	if n > 0 {
		return n, nil // the next call returns the end
	}
	return 0, errCut
}

// bound makes connections that end with ctx, and that hear nothing before they
// have said something. A service that speaks first, be it in malice, would
// otherwise make net/http print a line by the host's standard logger.
func bound(ctx context.Context, dial dial) dial {
	return func(_ context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &askingConn{Conn: conn, asked: make(chan struct{})}
		context.AfterFunc(ctx, func() { c.Close() })
		return c, nil
	}
}

// askingConn is a connection whose reads wait for the first write.
type askingConn struct {
	net.Conn
	asked chan struct{}
	once  sync.Once
}

func (c *askingConn) Read(b []byte) (int, error) {
	<-c.asked
	return c.Conn.Read(b)
}

func (c *askingConn) Write(b []byte) (int, error) {
	c.open()
	return c.Conn.Write(b)
}

// Close also frees a read that still waits.
func (c *askingConn) Close() error {
	c.open()
	return c.Conn.Close()
}

func (c *askingConn) open() { c.once.Do(func() { close(c.asked) }) }
