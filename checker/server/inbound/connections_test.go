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

// room is a server that has room for a few, and keeps those who ask for /wait
// waiting until it is to answer.
type room struct {
	*Listener
	asked, answer chan struct{}
	states        chan stateOf
}

// stateOf is what has become of the connection from an address.
type stateOf struct {
	addr  string
	state http.ConnState
}

func newRoom(t *testing.T, most int) *room {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &room{asked: make(chan struct{}, 100), answer: make(chan struct{}), states: make(chan stateOf, 100)}
	s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		if req.Method == "POST" {
			io.Copy(io.Discard, req.Body)
		}
		Received(req.Context())
		if req.URL.Path == "/wait" {
			r.asked <- struct{}{}
			<-r.answer
		}
	})}
	r.Listener = Limit(l, most, s)
	followed := s.ConnState
	s.ConnState = func(c net.Conn, state http.ConnState) {
		followed(c, state)
		r.states <- stateOf{c.RemoteAddr().String(), state}
	}
	go s.Serve(r.Listener)
	t.Cleanup(func() { s.Close() })
	return r
}

// enter connects, says something, and returns once that is noticed, so that the order
// is plain.
func (r *room) enter(t *testing.T, says string, noticed http.ConnState) net.Conn {
	t.Helper()
	c := r.knock(t, says)
	for {
		select {
		case s := <-r.states:
			if s == (stateOf{c.LocalAddr().String(), noticed}) {
				return c
			}
		case <-time.After(10 * time.Second):
			close(r.answer)
			t.Fatalf("who says %q is not noticed", says)
		}
	}
}

// knock is enter for one who may not be let in.
func (r *room) knock(t *testing.T, says string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprint(c, says)
	return c
}

// await returns once somebody more waits for the server.
func (r *room) await(t *testing.T) {
	t.Helper()
	select {
	case <-r.asked:
	case <-time.After(10 * time.Second):
		close(r.answer)
		t.Fatal("who asks does not get in")
	}
}

// goes tells whether the server closes a connection, and stays that it has not.
func goes(c net.Conn) bool  { return closed(c, 10*time.Second) }
func stays(c net.Conn) bool { return !closed(c, 200*time.Millisecond) }

func closed(c net.Conn, within time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(within))
	defer c.SetReadDeadline(time.Time{})
	_, err := c.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// value is that of the one metric that there is.
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

// When there is no room, the one goes who has kept the server waiting for longest,
// and nobody who waits for the server.
func TestSlowestGoes(t *testing.T) {
	const wait = "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, slow := range map[string]struct {
		says    string
		noticed http.ConnState
	}{
		"nothing": {"", http.StateNew},
		"header":  {"GET / HTTP/1.1\r\nHo", http.StateNew},
		"body":    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345", http.StateActive},
		"idle":    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", http.StateIdle},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t, 3)
			patient := r.enter(t, wait, http.StateActive)
			r.await(t)
			longest, shorter := r.enter(t, slow.says, slow.noticed), r.enter(t, slow.says, slow.noticed)
			if name == "idle" {
				for _, c := range []net.Conn{longest, shorter} {
					if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 200 {
						t.Fatal(err)
					}
				}
			}
			if n := value(t, r.gauge); n != 3 {
				t.Errorf("there are %v connections", n)
			}
			if r.enter(t, wait, http.StateActive); !goes(longest) {
				t.Error("who has kept it waiting for longest is still there")
			}
			r.await(t)
			if !stays(shorter) || !stays(patient) || value(t, r.evicted) != 1 {
				t.Error("somebody else is gone")
			}
			if r.enter(t, wait, http.StateActive); !goes(shorter) {
				t.Error("the next one is still there")
			}
			r.await(t)
			if late := r.knock(t, wait); !goes(late) || value(t, r.refused) != 1 || !stays(patient) {
				t.Error("all others wait for the server, and one more was let in")
			}
			close(r.answer)
			if res, err := http.ReadResponse(bufio.NewReader(patient), nil); err != nil || res.StatusCode != 200 {
				t.Errorf("who has waited got %v, %v", res, err)
			}
			if n := value(t, r.limit); n != 3 {
				t.Errorf("the limit is %v", n)
			}
		})
	}
}

// Who has left makes room.
func TestLeftMakesRoom(t *testing.T) {
	r := newRoom(t, 2)
	for range 10 {
		c := r.enter(t, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", http.StateActive)
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 200 {
			t.Fatal(err)
		}
		c.Close()
		for deadline := time.Now().Add(10 * time.Second); value(t, r.gauge) > 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%v connections are open", value(t, r.gauge))
			}
		}
	}
	if n := value(t, r.evicted) + value(t, r.refused); n > 0 {
		t.Errorf("%v had to go", n)
	}
}

// What a request costs with the bound, and without it.
func BenchmarkRequest(b *testing.B) {
	for _, bounded := range []bool{false, true} {
		b.Run(fmt.Sprintf("bounded=%v", bounded), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			s := &http.Server{ReadTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { Received(r.Context()) })}
			if bounded {
				l = Limit(l, 100, s)
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
			answers := bufio.NewReader(c)
			for b.Loop() {
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				if _, err := http.ReadResponse(answers, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
