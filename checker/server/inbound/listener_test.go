package inbound

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// testServer is a server with a connection limit. Its handler of /wait blocks until
// proceed is closed.
type testServer struct {
	*Listener
	handling, proceed chan struct{} // handling receives a value at the start of each /wait
	events            chan connEvent
}

// connEvent is a change of state of the connection from an address.
type connEvent struct {
	addr  string
	state http.ConnState
}

func newTestServer(t *testing.T, maxConns int) *testServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &testServer{handling: make(chan struct{}, 100), proceed: make(chan struct{}), events: make(chan connEvent, 100)}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			io.Copy(io.Discard, r.Body)
		}
		Received(r.Context())
		if r.URL.Path == "/wait" {
			s.handling <- struct{}{}
			<-s.proceed
		}
	})}
	s.Listener = LimitListener(l, maxConns, server)
	hook := server.ConnState
	server.ConnState = func(c net.Conn, state http.ConnState) {
		hook(c, state)
		s.events <- connEvent{c.RemoteAddr().String(), state}
	}
	go server.Serve(s.Listener)
	t.Cleanup(func() { server.Close() })
	return s
}

// connect opens a connection, sends a text, and waits until the server has put the
// connection into a state, so that the order of connections is certain.
func (s *testServer) connect(t *testing.T, text string, state http.ConnState) net.Conn {
	t.Helper()
	c := s.dial(t, text)
	for {
		select {
		case e := <-s.events:
			if e == (connEvent{c.LocalAddr().String(), state}) {
				return c
			}
		case <-time.After(10 * time.Second):
			close(s.proceed)
			t.Fatalf("connection that sent %q: not in state %v after 10 s", text, state)
		}
	}
}

// dial opens a connection, which the server may refuse, and sends a text.
func (s *testServer) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprint(c, text)
	return c
}

// waitForHandler waits until the handler of one more /wait has started.
func (s *testServer) waitForHandler(t *testing.T) {
	t.Helper()
	select {
	case <-s.handling:
	case <-time.After(10 * time.Second):
		close(s.proceed)
		t.Fatal("handler has not started after 10 s")
	}
}

// isClosed reports whether the server closes a connection, and isOpen whether it leaves
// the connection open for a while.
func isClosed(c net.Conn) bool { return closedWithin(c, 10*time.Second) }
func isOpen(c net.Conn) bool   { return !closedWithin(c, 200*time.Millisecond) }

func closedWithin(c net.Conn, d time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(d))
	defer c.SetReadDeadline(time.Time{})
	_, err := c.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// value returns the value of a metric.
func value(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatal(families, err)
	}
	m := families[0].Metric[0]
	return m.GetGauge().GetValue() + m.GetCounter().GetValue()
}

// TestEvictLongestWaiting checks that, at the limit, the server closes the connection
// whose client has kept it waiting for the longest time, and no connection whose client
// waits for the server.
func TestEvictLongestWaiting(t *testing.T) {
	const wait = "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, slow := range map[string]struct {
		text  string
		state http.ConnState
	}{
		"nothing": {"", http.StateNew},
		"header":  {"GET / HTTP/1.1\r\nHo", http.StateNew},
		"body":    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345", http.StateActive},
		"idle":    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", http.StateIdle},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestServer(t, 3)
			served := s.connect(t, wait, http.StateActive)
			s.waitForHandler(t)
			first, second := s.connect(t, slow.text, slow.state), s.connect(t, slow.text, slow.state)
			if name == "idle" {
				for _, c := range []net.Conn{first, second} {
					wantOK(t, c)
				}
			}
			if n := s.count(); n != 3 {
				t.Errorf("got %v open connections, want 3", n)
			}
			if s.connect(t, wait, http.StateActive); !isClosed(first) {
				t.Error("got the longest waiting connection open, want it closed")
			}
			s.waitForHandler(t)
			if a, b, n := isOpen(second), isOpen(served), value(t, s.evicted); !a || !b || n != 1 {
				t.Errorf("got second connection open %v, served one open %v, %v evicted, want true, true, 1", a, b, n)
			}
			if s.connect(t, wait, http.StateActive); !isClosed(second) {
				t.Error("got the second connection open, want it closed")
			}
			s.waitForHandler(t)
			late := s.dial(t, wait)
			if a, n, b := isClosed(late), value(t, s.refused), isOpen(served); !a || n != 1 || !b {
				t.Errorf("all clients wait for the server: got new connection closed %v, %v refused, served one open %v, want true, 1, true", a, n, b)
			}
			close(s.proceed)
			wantOK(t, served)
		})
	}
}

// wantOK reads a response and requires status 200.
func wantOK(t *testing.T, c net.Conn) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("got status %d, want 200", res.StatusCode)
	}
}

// TestClosedConnectionMakesRoom checks that a connection that the client has closed does
// not count.
func TestClosedConnectionMakesRoom(t *testing.T) {
	s := newTestServer(t, 2)
	for range 10 {
		c := s.connect(t, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", http.StateActive)
		wantOK(t, c)
		c.Close()
		for deadline := time.Now().Add(10 * time.Second); s.count() > 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("got %v open connections, want 0", s.count())
			}
		}
	}
	if n := value(t, s.evicted) + value(t, s.refused); n > 0 {
		t.Errorf("got %v connections evicted or refused, want 0", n)
	}
}

// BenchmarkRequest measures a request with a connection limit and without.
func BenchmarkRequest(b *testing.B) {
	for _, limited := range []bool{false, true} {
		b.Run(fmt.Sprintf("limited=%v", limited), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			s := &http.Server{ReadTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { Received(r.Context()) })}
			if limited {
				l = LimitListener(l, 100, s)
			} else {
				s.WriteTimeout = 30 * time.Second
			}
			go s.Serve(l)
			defer s.Close()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			responses := bufio.NewReader(c)
			for b.Loop() {
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				if _, err := http.ReadResponse(responses, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
