// Package inbound protects an HTTP server from its clients: it limits the number of
// connections and the memory of unread responses, and closes connections whose clients
// are slow. It also keeps the TLS certificate up to date.
package inbound

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// writeTimeout is how long a client may take to read a response, unless the handler has
// set a write deadline.
const writeTimeout = 10 * time.Second

// sendBufferSize is the size of the kernel's send buffer of a connection, in bytes. By
// default, Linux lets it grow to megabytes.
const sendBufferSize = 64 << 10

// Listener limits the number of open connections. At the limit, it closes the connection
// whose client has kept the server waiting for the longest time: by sending no request or only a
// part of one, or by not reading the response. Clients that are slow on purpose thus
// displace each other, not other clients. If all clients wait for the server, Listener
// refuses the new connection.
type Listener struct {
	net.Listener
	maxConns int

	writeTimeout, progressInterval time.Duration // the constants, except in tests

	mu     sync.Mutex
	conns  map[*conn]struct{}
	unread unreadBytes

	evicted, refused prometheus.Counter
}

// LimitListener returns a Listener that accepts connections from l and keeps at most
// maxConns of them open. It sets ConnState and ConnContext of s, the server that will
// serve the connections.
func LimitListener(l net.Listener, maxConns int, s *http.Server) *Listener {
	limited := &Listener{Listener: l, maxConns: maxConns, writeTimeout: writeTimeout, progressInterval: progressInterval, conns: map[*conn]struct{}{}, unread: newUnreadBytes(),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{Name: "relcheck_connections_evicted_total",
			Help: "Connections that were closed at the limit because their clients had kept the service waiting for the longest time."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "relcheck_connections_refused_total",
			Help: "Connections that were refused because the limit was reached and none could be closed."})}
	s.ConnState, s.ConnContext = connState, withConn
	return limited
}

// Collectors returns the metrics of the connections and of the unread responses.
func (l *Listener) Collectors() []prometheus.Collector {
	return append(l.unreadCollectors(), l.evicted, l.refused,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_connections", Help: "Open connections."},
			func() float64 { return float64(l.count()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_connections_limit", Help: "Maximum number of open connections."},
			func() float64 { return float64(l.maxConns) }))
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if tcp, ok := accepted.(*net.TCPConn); ok {
			tcp.SetWriteBuffer(sendBufferSize) // best effort: this limits the memory of the kernel, not of the process
		}
		c := &conn{Conn: accepted, listener: l}
		c.startWaiting()
		if l.add(c) {
			return c, nil
		}
		l.refused.Inc()
		accepted.Close()
	}
}

// add adds a connection, and reports false if the limit is reached and no connection can
// be closed.
func (l *Listener) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.maxConns {
		victim := l.longestWaiting()
		if victim == nil {
			return false
		}
		l.evicted.Inc()
		l.evict(victim)
	}
	l.conns[c] = struct{}{}
	return true
}

// evict closes a connection. The caller holds l.mu.
func (l *Listener) evict(victim *conn) {
	l.release(victim)
	delete(l.conns, victim)
	victim.Conn.Close()
}

// longestWaiting returns the connection whose client has kept the server waiting for
// longest, of a random sample of connections. It returns nil if no client keeps the
// server waiting.
func (l *Listener) longestWaiting() (victim *conn) {
	const sampleSize = 32
	n, earliest := 0, int64(0)
	for c := range l.conns { // in random order
		if since := c.waitingSince.Load(); since != 0 && (victim == nil || since < earliest) {
			victim, earliest = c, since
		}
		if n++; n >= sampleSize && victim != nil {
			break
		}
	}
	return victim
}

func (l *Listener) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(c)
	delete(l.conns, c)
}

func (l *Listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// conn is a connection that records since when its client has kept the server waiting.
type conn struct {
	net.Conn
	listener     *Listener
	waitingSince atomic.Int64 // nanoseconds since 1970; 0 while the client waits for the server
	hasDeadline  atomic.Bool  // a write deadline is set
	renewed      atomic.Bool  // each write renews the deadline; see [RenewDeadline]
	reserved     int64        // bytes that are reserved for its response; see [Reserve]
	holding      bool         // the next write is held; see [HoldHeader]
	held         []byte       // to be sent with the next write
}

// startWaiting notes that the server waits for the client from now on.
func (c *conn) startWaiting() { c.waitingSince.Store(time.Now().UnixNano()) }

// Close implements net.Conn.
func (c *conn) Close() error {
	c.listener.remove(c)
	return c.Conn.Close()
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if c.holding {
		c.holding = false
		c.held = append(c.held[:0], p...)
		return len(p), nil
	}
	now := time.Now()
	c.waitingSince.Store(now.UnixNano())
	if !c.hasDeadline.Load() || c.renewed.Load() {
		c.hasDeadline.Store(true)
		c.Conn.SetWriteDeadline(now.Add(writeTimeout))
	}
	if len(c.held) > 0 {
		return c.writeHeld(p)
	}
	return c.Conn.Write(p)
}

// SetWriteDeadline implements net.Conn. The HTTP server sets a zero deadline after each
// response; [writeTimeout] then applies to the next one.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.hasDeadline.Store(!t.IsZero())
	c.renewed.Store(false)
	return c.Conn.SetWriteDeadline(t)
}

// connState is the ConnState hook of the HTTP server. A connection becomes active after
// the header of a request and idle after the response.
func connState(nc net.Conn, state http.ConnState) {
	if c := unwrap(nc); c != nil && (state == http.StateActive || state == http.StateIdle) {
		c.startWaiting()
	}
}

func unwrap(nc net.Conn) *conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, _ := nc.(*conn)
	return c
}

type connKey struct{}

// withConn is the ConnContext hook of the HTTP server.
func withConn(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, unwrap(nc))
}

// Received notes that the whole request with the context ctx has been received. From now
// on the client waits for the server.
func Received(ctx context.Context) {
	if c := connFromContext(ctx); c != nil {
		c.waitingSince.Store(0)
	}
}

func connFromContext(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}
