package inbound

import (
	"context"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxUnread is the maximum size of all large responses that clients have not read yet,
	// in bytes.
	maxUnread = 32 << 20
	// minReserved is the size of the smallest response that counts as large. The number of
	// connections bounds the total size of smaller ones.
	minReserved = 16 << 10
	// stallTime is how long a client must read nothing before its connection may be closed
	// to make room for the responses to others.
	stallTime = time.Second
	// writeSize is how many bytes of a response are written at a time. Each successful write
	// shows that the client is reading.
	writeSize = 64 << 10
)

// unreadBytes limits the memory of large responses that clients do not read. The mutex of
// the listener guards it.
type unreadBytes struct {
	limit, reserved  int64         // bytes
	stallTime        time.Duration // the constant stallTime, except in tests
	evicted, refused prometheus.Counter
}

func newUnreadBytes() unreadBytes {
	return unreadBytes{limit: maxUnread, stallTime: stallTime,
		evicted: prometheus.NewCounter(prometheus.CounterOpts{Name: "relcheck_unread_answers_cut_total",
			Help: "Connections that were closed to make room for other responses because their clients had read nothing for the longest time."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "relcheck_unread_answers_refused_total",
			Help: "Requests with status 503 because too many bytes of other responses were unread."})}
}

func (l *Listener) unreadCollectors() []prometheus.Collector {
	return []prometheus.Collector{l.unread.evicted, l.unread.refused,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_unread_bytes",
			Help: "Bytes of large responses that clients have not read yet."}, func() float64 {
			l.mu.Lock()
			defer l.mu.Unlock()
			return float64(l.unread.reserved)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_unread_bytes_limit",
			Help: "Maximum number of unread bytes of large responses."}, func() float64 { return float64(l.unread.limit) }),
	}
}

// Reserve reserves memory for a response of n bytes to the request with the context ctx,
// until [WriteBody] has written it or the connection ends. If necessary it closes
// connections whose clients have read nothing for a second, starting with the one that
// has read nothing for the longest time. It reports false if that does not free enough memory.
func Reserve(ctx context.Context, n int) bool {
	c := connFromContext(ctx)
	return c == nil || n < minReserved || c.listener.reserve(c, int64(n))
}

func (l *Listener) reserve(c *conn, n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(c)
	n = min(n, l.unread.limit) // a response larger than the limit may take all of it
	for l.unread.reserved+n > l.unread.limit {
		victim := l.longestStalled(time.Now().Add(-l.unread.stallTime))
		if victim == nil {
			l.unread.refused.Inc()
			return false
		}
		l.unread.evicted.Inc()
		l.evict(victim)
	}
	c.reserved, l.unread.reserved = n, l.unread.reserved+n
	return true
}

// longestStalled returns the connection whose client has read nothing of a large response
// for the longest time, or nil if every client has read something since the given time.
func (l *Listener) longestStalled(before time.Time) (victim *conn) {
	earliest := before.UnixNano()
	for c := range l.conns {
		if since := c.waitingSince.Load(); c.reserved > 0 && since != 0 && since < earliest {
			victim, earliest = c, since
		}
	}
	return victim
}

// release ends the reservation of a connection. The caller holds l.mu.
func (l *Listener) release(c *conn) {
	l.unread.reserved -= c.reserved
	c.reserved = 0
}

// WriteBody writes the body of a response after [Reserve] has reserved memory for it. It
// ignores write errors, which occur if the client has closed the connection.
func WriteBody(ctx context.Context, w io.Writer, body []byte) {
	if len(body) >= minReserved {
		defer Release(ctx)
	}
	for len(body) > 0 {
		n := min(len(body), writeSize)
		if _, err := w.Write(body[:n]); err != nil {
			return
		}
		body = body[n:]
	}
}
