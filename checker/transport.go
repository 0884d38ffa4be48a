package checker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
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
	plain, secure dial
	config        *tls.Config // nil but in tests
}

func newTransport(config *tls.Config) *transport {
	return &transport{new(net.Dialer).DialContext, (&tls.Dialer{Config: config}).DialContext, config}
}

// RoundTrip has a [http.Transport] of its own for each request. A shared one goes
// on to connect when a request has ended, for the sake of the next: who drops its
// packets, or a proxy that hangs, would hold a goroutine of the host for minutes.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	once := &http.Transport{
		Proxy:                  proxy,
		DialContext:            bound(r.Context(), t.plain),
		DialTLSContext:         bound(r.Context(), t.secure),
		TLSClientConfig:        t.config,
		TLSHandshakeTimeout:    timeout,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswer,
	}
	return once.RoundTrip(r)
}

// proxy is http.ProxyFromEnvironment, whose error would show the proxy's
// password.
func proxy(r *http.Request) (*url.URL, error) {
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
