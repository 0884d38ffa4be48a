package inbound

import (
	"context"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxUnread is how many bytes all large answers have together that clients have not
	// read yet.
	maxUnread = 32 << 20
	// large is from which size on an answer counts. Of smaller ones there are at most
	// as many as connections.
	large = 16 << 10
	// stalledAfter is how long a client has to read nothing until its connection may be
	// closed to make room for the answers of others.
	stalledAfter = time.Second
	// piece is how much of an answer is written at once: each piece that the kernel
	// takes shows that the client reads.
	piece = 64 << 10
)

// backlog bounds the memory of answers that clients do not read. The mutex of the
// listener guards it.
type backlog struct {
	most, taken  int64         // bytes
	after        time.Duration // see stalledAfter
	cut, refused prometheus.Counter
}

func newBacklog() backlog {
	return backlog{most: maxUnread, after: stalledAfter,
		cut: prometheus.NewCounter(prometheus.CounterOpts{Name: "relcheck_unread_answers_cut_total",
			Help: "Connections that were closed to make room for other answers: their clients had read nothing of theirs for longest."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "relcheck_unread_answers_refused_total",
			Help: "Requests that were answered with status 503 because too many bytes of other answers were not read yet."})}
}

func (l *Listener) backlogCollectors() []prometheus.Collector {
	return []prometheus.Collector{l.backlog.cut, l.backlog.refused,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_unread_bytes",
			Help: "Bytes of large answers that clients have not read yet."}, func() float64 {
			l.mu.Lock()
			defer l.mu.Unlock()
			return float64(l.backlog.taken)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_unread_bytes_limit",
			Help: "How many bytes of large answers may be unread."}, func() float64 { return float64(l.backlog.most) }),
	}
}

// Reserve makes room for an answer of n bytes to the request whose context is ctx,
// until [Deliver] has written it or the connection ends. To make room it closes
// connections whose clients have read nothing for a while, the longest first. It
// reports false if that is not enough.
func Reserve(ctx context.Context, n int) bool {
	c := connFrom(ctx)
	return c == nil || n < large || c.listener.reserve(c, int64(n))
}

func (l *Listener) reserve(c *conn, n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(c)
	n = min(n, l.backlog.most) // an answer larger than all the room may have it alone
	for l.backlog.taken+n > l.backlog.most {
		victim := l.stalled(time.Now().Add(-l.backlog.after))
		if victim == nil {
			l.backlog.refused.Inc()
			return false
		}
		l.backlog.cut.Inc()
		l.drop(victim)
	}
	c.unread, l.backlog.taken = n, l.backlog.taken+n
	return true
}

// stalled returns the connection whose client has read nothing of a large answer for
// longest, and not since before. It is nil if there is none.
func (l *Listener) stalled(before time.Time) (victim *conn) {
	least := before.UnixNano()
	for c := range l.open {
		if since := c.since.Load(); c.unread > 0 && since != 0 && since < least {
			victim, least = c, since
		}
	}
	return victim
}

// release gives back the room that a connection has taken.
func (l *Listener) release(c *conn) {
	l.backlog.taken -= c.unread
	c.unread = 0
}

// Deliver writes the body of an answer, for which [Reserve] has made room. The client
// may be gone.
func Deliver(ctx context.Context, w io.Writer, body []byte) {
	if c := connFrom(ctx); c != nil && len(body) >= large {
		defer func() {
			c.listener.mu.Lock()
			defer c.listener.mu.Unlock()
			c.listener.release(c)
		}()
	}
	for len(body) > 0 {
		n := min(len(body), piece)
		if _, err := w.Write(body[:n]); err != nil {
			return
		}
		body = body[n:]
	}
}
