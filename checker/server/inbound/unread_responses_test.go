package inbound

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bodyServer is a server that responds to GET /N with N bytes if it can reserve memory for
// them, and otherwise with status 503.
type bodyServer struct {
	*Listener
	metrics *prometheus.Registry
}

func newBodyServer(t *testing.T, limit int64) *bodyServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Received(r.Context())
		n, _ := strconv.Atoi(r.URL.Path[1:])
		if !Reserve(r.Context(), n) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.URL.RawQuery == "panic" {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Length", strconv.Itoa(n))
		WriteBody(r.Context(), w, make([]byte, n))
	})}
	s := &bodyServer{LimitListener(l, 1000, server), prometheus.NewRegistry()}
	s.unread.limit = limit
	s.metrics.MustRegister(s.unreadCollectors()...)
	go server.Serve(s.Listener)
	t.Cleanup(func() { server.Close() })
	return s
}

// get sends a request for a path, and reads nothing of the response.
func (s *bodyServer) get(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", path)
	return c
}

// read reads a response, and returns its status and the length of its body.
func read(t *testing.T, c net.Conn) (status int, n int64) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	n, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, n
}

func (s *bodyServer) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("got no metric %s, want one", name)
	return 0
}

// waitForUnread waits until a number of bytes are unread.
func (s *bodyServer) waitForUnread(t *testing.T, bytes float64) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); s.metric(t, "relcheck_unread_bytes") != bytes; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %v unread bytes, want %v", s.metric(t, "relcheck_unread_bytes"), bytes)
		}
	}
}

// TestUnreadBytesLimit checks that all unread responses share one limit. At the limit, a
// new request must get status 503, until a client has read nothing for a while: then the
// server must close its connection.
func TestUnreadBytesLimit(t *testing.T) {
	const mb = 1 << 20
	s := newBodyServer(t, 100*mb)
	setStallTime := func(d time.Duration) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unread.stallTime = d
	}
	setStallTime(time.Hour)
	longest := s.get(t, "41943040")
	s.waitForUnread(t, 40*mb)
	s.get(t, "41943040")
	s.waitForUnread(t, 80*mb)
	status, _ := read(t, s.get(t, "41943040"))
	if refused := s.metric(t, "relcheck_unread_answers_refused_total"); status != http.StatusServiceUnavailable || refused != 1 {
		t.Errorf("response above the limit: got status %d and %v refused, want 503 and 1", status, refused)
	}
	for _, n := range []int64{16_000, 4 * mb} {
		if status, got := read(t, s.get(t, strconv.FormatInt(n, 10))); status != http.StatusOK || got != n {
			t.Errorf("got status %d and %d bytes, want 200 and %d", status, got, n)
		}
	}
	s.waitForUnread(t, 80*mb)
	s.stall(t, longest)
	setStallTime(stallTime)
	var late net.Conn
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		late = s.get(t, "41943040")
		if line, err := bufio.NewReader(late).ReadString('\n'); err == nil && line == "HTTP/1.1 200 OK\r\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no connection was closed within 20 s")
		}
	}
	if cut := s.metric(t, "relcheck_unread_answers_cut_total"); cut != 1 {
		t.Errorf("got %v connections closed, want 1", cut)
	}
	longest.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, _ := io.Copy(io.Discard, longest); n >= 40*mb {
		t.Errorf("client that read nothing for the longest time: got %d bytes, want less than the response", n)
	}
	s.waitForUnread(t, 80*mb)
}

// stall waits until the kernel accepts no more of any response. It then makes the server
// believe that the client of a connection has read nothing for an hour.
func (s *bodyServer) stall(t *testing.T, longest net.Conn) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s.mu.Lock()
		stalled, victim := true, (*conn)(nil)
		for c := range s.conns {
			stalled = stalled && (c.reserved == 0 || time.Since(time.Unix(0, c.waitingSince.Load())) > 300*time.Millisecond)
			if c.RemoteAddr().String() == longest.LocalAddr().String() {
				victim = c
			}
		}
		s.mu.Unlock()
		if stalled {
			victim.waitingSince.Store(time.Now().Add(-time.Hour).UnixNano())
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the kernel still accepts more after 20 s")
		}
	}
}

// TestSlowReaderIsNotEvicted checks that the server does not close the connection of a
// client that reads slowly.
func TestSlowReaderIsNotEvicted(t *testing.T) {
	for range 3 { // a busy machine may keep the client from reading
		if slowReaderStays(t) {
			return
		}
	}
	t.Error("got the connection of a slow reader closed, want it open")
}

// slowReaderStays reports whether a connection stays open while its client reads slowly
// and others need room.
func slowReaderStays(t *testing.T) bool {
	const n = 200 << 20
	s := newBodyServer(t, n)
	slow := s.get(t, strconv.Itoa(n))
	s.waitForUnread(t, n)
	for until := time.Now().Add(2 * stallTime); time.Now().Before(until); time.Sleep(stallTime / 20) {
		slow.SetReadDeadline(time.Now().Add(2 * stallTime))
		if _, err := io.ReadFull(slow, make([]byte, 4*writeSize)); err != nil {
			return false
		}
		if status, _ := read(t, s.get(t, "100000")); status == http.StatusOK {
			return false
		}
	}
	return true
}

// TestReservationIsReleased checks that a reservation ends, however the response ends.
func TestReservationIsReleased(t *testing.T) {
	s := newBodyServer(t, 1<<20)
	for _, end := range []func(net.Conn){
		func(c net.Conn) { read(t, c) },
		func(c net.Conn) { c.Close() },
		func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }, // sends a reset
	} {
		for range 3 {
			c := s.get(t, "9999999") // above the limit, which a single response may take as a whole
			s.waitForUnread(t, 1<<20)
			end(c)
			s.waitForUnread(t, 0)
		}
	}
	for range 3 {
		io.Copy(io.Discard, s.get(t, "500000?panic"))
		s.waitForUnread(t, 0)
	}
	if !Reserve(context.Background(), 1<<40) {
		t.Error("Reserve without a connection: got false, want true")
	}
}
