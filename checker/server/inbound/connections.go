// Package inbound stands between the network and the handlers: it bounds the
// connections that are open, and keeps the certificate that they are made under.
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

// answerTime is how long a caller may take to read an answer, unless the handler
// has set another time.
const answerTime = 10 * time.Second

// unread is how much of an answer may wait in the kernel for a caller to read it,
// in bytes. Left to itself, Linux lets that grow to megabytes.
const unread = 64 << 10

// Listener accepts so many connections at most. When there are more, the one goes
// whose caller has kept the server waiting for longest: for a request, for the
// rest of one, or by not reading the answer. So those who are slow on purpose get
// in each other's way, and not in that of others. Only when it is the server that
// all are waiting for, the new one is turned away.
type Listener struct {
	net.Listener
	most int

	mu      sync.Mutex
	open    map[*conn]struct{}
	backlog backlog

	evicted, refused prometheus.Counter
	gauge, limit     prometheus.Collector
}

// Limit bounds the connections of l, and has s tell what becomes of each.
func Limit(l net.Listener, most int, s *http.Server) *Listener {
	limited := &Listener{Listener: l, most: most, open: map[*conn]struct{}{}, backlog: newBacklog(),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{Name: "relcheck_connections_evicted_total",
			Help: "Connections that were closed to make room for others: their callers had kept the service waiting for longest."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "relcheck_connections_refused_total",
			Help: "Connections that were turned away, for there were too many of which none could be closed."})}
	limited.gauge = prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_connections",
		Help: "Connections that are open."}, func() float64 { return float64(limited.count()) })
	limited.limit = prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_connections_limit",
		Help: "How many connections may be open."}, func() float64 { return float64(most) })
	s.ConnState, s.ConnContext = changed, withConn
	return limited
}

// Collectors are what Prometheus is told of the connections.
func (l *Listener) Collectors() []prometheus.Collector {
	return append(l.backlogCollectors(), l.gauge, l.limit, l.evicted, l.refused)
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if tcp, ok := accepted.(*net.TCPConn); ok {
			tcp.SetWriteBuffer(unread) // at best effort: it bounds the kernel's memory, not ours
		}
		c := &conn{Conn: accepted, listener: l}
		c.await()
		if l.add(c) {
			return c, nil
		}
		l.refused.Inc()
		accepted.Close()
	}
}

func (l *Listener) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.most {
		victim := l.slowest()
		if victim == nil {
			return false
		}
		l.evicted.Inc()
		l.drop(victim)
	}
	l.open[c] = struct{}{}
	return true
}

// drop closes a connection.
func (l *Listener) drop(victim *conn) {
	l.release(victim)
	delete(l.open, victim)
	victim.Conn.Close()
}

// slowest returns that of some connections whose caller has kept the server
// waiting for longest, or nil if none does. Where most are slow, so are some.
func (l *Listener) slowest() (victim *conn) {
	const some = 32
	looked, least := 0, int64(0)
	for c := range l.open { // in no order
		if since := c.since.Load(); since != 0 && (victim == nil || since < least) {
			victim, least = c, since
		}
		if looked++; looked >= some && victim != nil {
			break
		}
	}
	return victim
}

func (l *Listener) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(c)
	delete(l.open, c)
}

func (l *Listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// conn is a connection that knows since when its caller keeps the server waiting.
type conn struct {
	net.Conn
	listener *Listener
	since    atomic.Int64 // in nanoseconds since 1970; 0 while the caller waits for the server
	bounded  atomic.Bool  // a time is set until which an answer has to be read
	unread   int64        // how much of the listener's room its answer takes, in bytes
}

func (c *conn) await() { c.since.Store(time.Now().UnixNano()) }

// Close implements net.Conn.
func (c *conn) Close() error {
	c.listener.remove(c)
	return c.Conn.Close()
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	now := time.Now()
	c.since.Store(now.UnixNano())
	if !c.bounded.Load() {
		c.SetWriteDeadline(now.Add(answerTime))
	}
	return c.Conn.Write(p)
}

// SetWriteDeadline implements net.Conn. The zero time, which the HTTP server sets
// after each answer, has the next one take its [answerTime].
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.bounded.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

// changed follows what the HTTP server does with a connection: it is active from
// the end of a request's header to that of the answer.
func changed(n net.Conn, state http.ConnState) {
	if c := connOf(n); c != nil && (state == http.StateActive || state == http.StateIdle) {
		c.await()
	}
}

func connOf(n net.Conn) *conn {
	if t, ok := n.(*tls.Conn); ok {
		n = t.NetConn()
	}
	c, _ := n.(*conn)
	return c
}

type key struct{}

func withConn(ctx context.Context, n net.Conn) context.Context {
	return context.WithValue(ctx, key{}, connOf(n))
}

// Received notes that all of a request has come in, whose context is ctx: from
// now on it is the caller who waits.
func Received(ctx context.Context) {
	if c := connFrom(ctx); c != nil {
		c.since.Store(0)
	}
}

// connFrom returns the connection of the request whose context is ctx, or nil.
func connFrom(ctx context.Context) *conn {
	c, _ := ctx.Value(key{}).(*conn)
	return c
}
