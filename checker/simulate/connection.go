package simulate

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"time"
)

// idle is after how long a connection is not used again: a service that closes
// it may do so just when the next request is on its way.
const idle = 10 * time.Second

// line is how to reach a service.
type line struct {
	address string        // HOST:PORT
	secure  *tls.Config   // nil without encryption
	timeout time.Duration // of an exchange
}

func newLine(service *url.URL, timeout time.Duration) line {
	port := service.Port()
	l := line{timeout: timeout}
	if service.Scheme == "https" {
		l.secure = &tls.Config{ServerName: service.Hostname()}
	}
	switch {
	case port != "":
	case l.secure != nil:
		port = "443"
	default:
		port = "80"
	}
	l.address = net.JoinHostPort(service.Hostname(), port)
	return l
}

// connection is one over which requests go one after the other.
type connection struct {
	net.Conn
	timeout time.Duration
	answers *bufio.Reader
	budget  io.LimitedReader // below answers: what may still be read of this one
	used    time.Time
	forget  func() bool
}

// dial connects. The connection is closed when ctx ends.
func (l line) dial(ctx context.Context) (*connection, error) {
	within, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(within, "tcp", l.address)
	if err != nil {
		return nil, err
	}
	if l.secure != nil {
		secured := tls.Client(conn, l.secure)
		if err := secured.HandshakeContext(within); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secured
	}
	c := &connection{Conn: conn, timeout: l.timeout, used: time.Now()}
	c.budget.R = conn
	c.answers = bufio.NewReaderSize(&c.budget, 8<<10)
	c.forget = context.AfterFunc(ctx, func() { conn.Close() })
	return c, nil
}

// exchange sends a request and reads its answer.
func (c *connection) exchange(request []byte) (answer, error) {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return answer{}, err
	}
	if _, err := c.Write(request); err != nil {
		return answer{}, err
	}
	c.budget.N = maxAnswer
	a, err := readAnswer(c.answers)
	switch {
	case c.budget.N <= 0, errors.Is(err, bufio.ErrBufferFull):
		err = errors.New("the answer is too long")
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the service closed the connection without a whole answer")
	}
	a.last = a.last || err != nil || c.answers.Buffered() > 0 // nobody has asked for that
	c.used = time.Now()
	return a, err
}

func (c *connection) close() {
	c.forget()
	c.Close()
}
