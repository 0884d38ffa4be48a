package simulate

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
)

// maxIdle is how long a connection may be idle and still be reused. A server that
// closes idle connections might close an older one while a request is on its way.
const maxIdle = 10 * time.Second

// dialer opens connections to a service.
type dialer struct {
	address   string        // HOST:PORT
	tlsConfig *tls.Config   // nil for http
	timeout   time.Duration // of dialing, and of each request with its response
}

func newDialer(service *url.URL, timeout time.Duration) dialer {
	d, port := dialer{timeout: timeout}, "80"
	if service.Scheme == "https" {
		d.tlsConfig, port = &tls.Config{ServerName: service.Hostname()}, "443"
	}
	d.address = net.JoinHostPort(service.Hostname(), cmp.Or(service.Port(), port))
	return d
}

// connection is an HTTP/1.1 connection that carries one request at a time.
type connection struct {
	net.Conn
	timeout   time.Duration
	responses *bufio.Reader
	limit     io.LimitedReader // below responses; N is how much of the current response may still be read
	lastUsed  time.Time
	stopWatch func() bool // ends the wait for the end of the context
}

// dial opens a connection, which is closed when ctx ends.
func (d dialer) dial(ctx context.Context) (*connection, error) {
	dialCtx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	open := new(net.Dialer).DialContext
	if d.tlsConfig != nil {
		open = (&tls.Dialer{Config: d.tlsConfig}).DialContext
	}
	conn, err := open(dialCtx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: conn, timeout: d.timeout, lastUsed: time.Now()}
	c.limit.R = conn
	c.responses = bufio.NewReaderSize(&c.limit, 8<<10)
	c.stopWatch = context.AfterFunc(ctx, func() { conn.Close() })
	return c, nil
}

// roundTrip sends a request and reads the response.
func (c *connection) roundTrip(request []byte) (response, error) {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return response{}, err
	}
	if _, err := c.Write(request); err != nil {
		return response{}, err
	}
	c.limit.N = maxResponse
	res, err := readResponse(c.responses)
	switch {
	case c.limit.N <= 0:
		err = errors.New("the response is too large")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the service closed the connection before the end of its response")
	case err != nil && len(err.Error()) > maxErrorText: // it may quote a long line
		err = errors.New(strings.ToValidUTF8(err.Error()[:maxErrorText], ""))
	}
	res.close = res.close || err != nil || c.responses.Buffered() > 0 // more bytes than the response has
	c.lastUsed = time.Now()
	return res, err
}

func (c *connection) close() {
	c.stopWatch()
	c.Close()
}
