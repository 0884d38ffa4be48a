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

// answering is a server that answers GET /N with N bytes, if there is room for them,
// and else with status 503.
type answering struct {
	*Listener
	metrics *prometheus.Registry
}

func newAnswering(t *testing.T, room int64) *answering {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
		Deliver(r.Context(), w, make([]byte, n))
	})}
	a := &answering{Limit(l, 1000, s), prometheus.NewRegistry()}
	a.backlog.most = room
	a.metrics.MustRegister(a.backlogCollectors()...)
	go s.Serve(a.Listener)
	t.Cleanup(func() { s.Close() })
	return a
}

// ask asks for n bytes, and reads nothing of the answer.
func (a *answering) ask(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", path)
	return c
}

// read reads an answer, and returns its status and the length of its body.
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

func (a *answering) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := a.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue()
		}
	}
	t.Fatal("no metric " + name)
	return 0
}

// await returns once so many bytes are not read.
func (a *answering) await(t *testing.T, bytes float64) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); a.metric(t, "relcheck_unread_bytes") != bytes; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%v bytes are not read, want %v", a.metric(t, "relcheck_unread_bytes"), bytes)
		}
	}
}

// All answers that nobody reads have a bound together. Beyond it a new one is refused
// until a client has read nothing for a while: then that one has to go.
func TestUnreadIsBounded(t *testing.T) {
	const mb = 1 << 20
	a := newAnswering(t, 100*mb)
	after := func(d time.Duration) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.backlog.after = d
	}
	after(time.Hour)
	longest := a.ask(t, "41943040")
	a.await(t, 40*mb)
	a.ask(t, "41943040")
	a.await(t, 80*mb)
	if status, _ := read(t, a.ask(t, "41943040")); status != http.StatusServiceUnavailable || a.metric(t, "relcheck_unread_answers_refused_total") != 1 {
		t.Errorf("one that there is no room for has status %d", status)
	}
	for _, n := range []int64{16_000, 4 * mb} {
		if status, got := read(t, a.ask(t, strconv.FormatInt(n, 10))); status != http.StatusOK || got != n {
			t.Errorf("one of %d bytes has status %d and %d bytes", n, status, got)
		}
	}
	a.await(t, 80*mb)
	a.stall(t, longest)
	after(stalledAfter)
	var late net.Conn
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		late = a.ask(t, "41943040")
		if line, err := bufio.NewReader(late).ReadString('\n'); err == nil && line == "HTTP/1.1 200 OK\r\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody has to go")
		}
	}
	if cut := a.metric(t, "relcheck_unread_answers_cut_total"); cut != 1 {
		t.Errorf("%v had to go", cut)
	}
	longest.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, _ := io.Copy(io.Discard, longest); n >= 40*mb {
		t.Error("the client that has read nothing for longest still gets all")
	}
	a.await(t, 80*mb)
}

// stall waits until the kernel takes no more of any answer, and has one of the clients
// have read nothing for an hour.
func (a *answering) stall(t *testing.T, longest net.Conn) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		a.mu.Lock()
		still, victim := true, (*conn)(nil)
		for c := range a.open {
			still = still && (c.unread == 0 || time.Since(time.Unix(0, c.since.Load())) > 300*time.Millisecond)
			if c.RemoteAddr().String() == longest.LocalAddr().String() {
				victim = c
			}
		}
		a.mu.Unlock()
		if still {
			victim.since.Store(time.Now().Add(-time.Hour).UnixNano())
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the kernel takes more and more")
		}
	}
}

// A client that reads slowly is not one that reads nothing.
func TestSlowReaderStays(t *testing.T) {
	for range 3 {
		if slowReaderStays(t) {
			return
		}
	}
	t.Error("it is cut off")
}

// slowReaderStays is one try: a busy machine may keep the reader from reading.
func slowReaderStays(t *testing.T) bool {
	const n = 200 << 20
	a := newAnswering(t, n)
	slow := a.ask(t, strconv.Itoa(n))
	a.await(t, n)
	for until := time.Now().Add(2 * stalledAfter); time.Now().Before(until); time.Sleep(stalledAfter / 20) {
		slow.SetReadDeadline(time.Now().Add(2 * stalledAfter))
		if _, err := io.ReadFull(slow, make([]byte, 4*piece)); err != nil {
			return false
		}
		if status, _ := read(t, a.ask(t, "100000")); status == http.StatusOK {
			return false
		}
	}
	return true
}

// Room is given back however an answer ends.
func TestRoomIsGivenBack(t *testing.T) {
	a := newAnswering(t, 1<<20)
	for _, end := range []func(net.Conn){
		func(c net.Conn) { read(t, c) },
		func(c net.Conn) { c.Close() },
		func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }, // with a reset
	} {
		for range 3 {
			c := a.ask(t, "9999999") // more than there is room for: alone it may
			a.await(t, 1<<20)
			end(c)
			a.await(t, 0)
		}
	}
	for range 3 {
		io.Copy(io.Discard, a.ask(t, "500000?panic"))
		a.await(t, 0)
	}
	if !Reserve(context.Background(), 1<<40) {
		t.Error("there is no room without a connection")
	}
}
