package simulate

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// newLoad returns a load that sends the reports of a fleet.
func newLoad(t testing.TB, address string) Load {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return Load{Service: u, Requests: Reports(1, 1000, nil, "opa", u)}
}

// newReplay returns a load that replays a capture, which costs less than generating reports.
func newReplay(t testing.TB, address string) Load {
	l := newLoad(t, address)
	l.Requests = Replay(captures(t)[:1], 1, math.MaxInt, l.Service)
	return l
}

// answered returns the number of requests with a response, successful or not.
func answered(r *Result) int64 { return r.Sent - r.Failed - r.GivenUp }

// runLoad runs a load and checks that the counts of its result are consistent.
func runLoad(t testing.TB, ctx context.Context, l Load) *Result {
	t.Helper()
	r, err := l.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if answered(r) != r.Status[1]+r.Status[2]+r.Status[3]+r.Status[4]+r.Status[5] || answered(r) != r.Latency.Total() {
		t.Errorf("got %+v, want as many statuses and latencies as responses", r)
	}
	return r
}

// limit returns the first n requests.
func limit(requests iter.Seq[Request], n int) iter.Seq[Request] {
	return func(yield func(Request) bool) {
		for r := range requests {
			if n--; n < 0 || !yield(r) {
				return
			}
		}
	}
}

// stall is how long a service of startStalling does not respond.
const stall = 500 * time.Millisecond

// startStalling starts a service that responds to 249 requests at once and then stalls.
func startStalling(t testing.TB) *httptest.Server {
	var received atomic.Int64
	over := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		switch n := received.Add(1); {
		case n == 250:
			time.Sleep(stall)
			close(over)
		case n > 250:
			<-over
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// An open loop must show a stall of the service in the latency of all requests that
// were due meanwhile. The control is a closed loop, which does not show it because it
// sends only one request during the stall.
func TestLatencyDuringStall(t *testing.T) {
	t.Parallel()
	quantile := func(r *Result, q float64) time.Duration { return time.Duration(r.Latency.Quantile(q)) }
	open := newReplay(t, startStalling(t).URL)
	open.Rate, open.Duration, open.Timeout = 1000, 1500*time.Millisecond, time.Minute // during the stall, more requests than connections are due
	r := runLoad(t, context.Background(), open)
	if r.Sent != 1500 || r.Succeeded() != 1500 || r.Unsent != 0 {
		t.Fatalf("open loop: got %d requests, %d successes and %d unsent, want 1500, 1500 and 0: %v", r.Sent, r.Succeeded(), r.Unsent, r.FirstError)
	}
	// The 250th request is sent 249 ms after the start or later. However slow the machine
	// is, at least 300 of the first 550 requests are due before 550 ms and wait until the
	// stall is over, at 749 ms or later.
	p80, p99 := quantile(r, 0.80), quantile(r, 0.99)
	if p80 < stall/3 || p99 < stall*9/10 || r.MaxLatency < stall {
		t.Errorf("open loop: got p80 %v, p99 %v, max %v, want at least %v, %v, %v", p80, p99, r.MaxLatency, stall/3, stall*9/10, stall)
	}
	closed := newReplay(t, startStalling(t).URL)
	closed.Connections, closed.Duration, closed.Timeout, closed.Requests = 1, time.Hour, time.Minute, limit(closed.Requests, 1500)
	r = runLoad(t, context.Background(), closed)
	if p99 := quantile(r, 0.99); r.Succeeded() != 1500 || p99 > stall/3 || r.MaxLatency < stall {
		t.Errorf("closed loop: got %d successes, p99 %v, max %v, want 1500, at most %v, at least %v", r.Succeeded(), p99, r.MaxLatency, stall/3, stall)
	}
}

// A result counts each response once, by what the service did with the request.
func TestResultCounts(t *testing.T) {
	t.Parallel()
	var n, refused, unrecorded atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch i := n.Add(1); {
		case i%7 == 0:
			refused.Add(1)
			http.Error(w, "not now", http.StatusServiceUnavailable)
		case i%5 == 0:
			unrecorded.Add(1)
			w.Header().Set("Relcheck-Recorded", "no")
		case i%3 == 0: // chunked
			w.(http.Flusher).Flush()
			io.WriteString(w, "a")
		}
	}))
	defer s.Close()
	var mu sync.Mutex
	ids := map[uuid.UUID]bool{}
	l := newLoad(t, s.URL)
	l.Rate, l.Duration = 300, time.Second
	l.OnRecorded = func(id uuid.UUID) {
		mu.Lock()
		defer mu.Unlock()
		ids[id] = true
	}
	r := runLoad(t, context.Background(), l)
	var reports, distinct int64
	for _, c := range r.Builds {
		reports += c.Reports
		distinct += c.Instances
	}
	if r.Sent != n.Load() || r.Sent != 300 || r.Status[5] != refused.Load() || r.Unrecorded != unrecorded.Load() || r.Failed > 0 ||
		r.Recorded != r.Sent-r.Status[5]-r.Unrecorded || reports != r.Recorded || distinct != r.Instances || r.Instances != int64(len(ids)) || r.Instances == r.Recorded {
		t.Errorf("got %+v, want %d requests, %d refused, %d not recorded, %d instances", r, n.Load(), refused.Load(), unrecorded.Load(), len(ids))
	}
	if got := fmt.Sprint(r.FirstError); got != "status 503: not now" {
		t.Errorf("got first error %q, want %q", got, "status 503: not now")
	}
}

// One connection must send the same requests in the same order in every run.
func TestOrderOnTheWire(t *testing.T) {
	t.Parallel()
	received := func() (all []string) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			all = append(all, r.UserAgent()+string(body))
		}))
		defer s.Close()
		l := newLoad(t, s.URL)
		l.Connections, l.Duration = 1, time.Hour
		ctx, stop := context.WithCancel(context.Background())
		recorded := 0
		l.OnRecorded = func(uuid.UUID) {
			if recorded++; recorded == 200 {
				stop()
			}
		}
		runLoad(t, ctx, l)
		return all
	}
	if a, b := received(), received(); len(a) < 200 || strings.Join(a[:200], "") != strings.Join(b[:200], "") {
		t.Errorf("got two runs of %d and %d requests that differ, want the same first 200", len(a), len(b))
	}
}

// listen calls serve in a goroutine for each connection, and returns the URL.
func listen(t testing.TB, serve func(net.Conn, *bufio.Reader)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn, bufio.NewReader(conn))
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// readRequest reads a request, and returns false at the end of the connection.
func readRequest(in *bufio.Reader) bool {
	r, err := http.ReadRequest(in)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	return err == nil
}

// writeForever repeats a text until the client closes the connection.
func writeForever(conn net.Conn, text string, pause time.Duration) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// Whatever a service sends, Run must return and report errors.
func TestHostileServices(t *testing.T) {
	var all sync.WaitGroup
	const ok = "HTTP/1.1 200 OK\r\n"
	long := strings.Repeat("a", 4000)
	for name, serve := range map[string]func(net.Conn, *bufio.Reader){
		"closes at once":       func(net.Conn, *bufio.Reader) {},
		"closes after request": func(_ net.Conn, in *bufio.Reader) { readRequest(in) },
		"closes during body": func(conn net.Conn, in *bufio.Reader) {
			readRequest(in)
			io.WriteString(conn, ok+"Content-Length: 10\r\n\r\nabc")
		},
		"garbage": func(conn net.Conn, in *bufio.Reader) {
			readRequest(in)
			writeForever(conn, "\x00\xff\n\r\n"+long, time.Millisecond)
		},
		"silent":      func(_ net.Conn, in *bufio.Reader) { io.Copy(io.Discard, in) },
		"never reads": func(net.Conn, *bufio.Reader) { time.Sleep(20 * time.Second) },
		"slow":        func(conn net.Conn, in *bufio.Reader) { readRequest(in); writeForever(conn, "H", 100*time.Millisecond) },
		"slow header": func(conn net.Conn, in *bufio.Reader) {
			io.WriteString(conn, ok)
			writeForever(conn, "A: b\r\n", 100*time.Millisecond)
		},
		"endless line": func(conn net.Conn, in *bufio.Reader) { readRequest(in); writeForever(conn, long, time.Millisecond) },
		"endless header": func(conn net.Conn, in *bufio.Reader) {
			readRequest(in)
			io.WriteString(conn, ok)
			writeForever(conn, "A: "+long+"\r\n", time.Millisecond)
		},
		"endless body": func(conn net.Conn, in *bufio.Reader) {
			readRequest(in)
			io.WriteString(conn, ok+"\r\n")
			writeForever(conn, long, time.Millisecond)
		},
		"endless length": func(conn net.Conn, in *bufio.Reader) {
			readRequest(in)
			io.WriteString(conn, ok+"Content-Length: 9223372036854775807\r\n\r\n")
			writeForever(conn, long, time.Millisecond)
		},
		"endless chunks": func(conn net.Conn, in *bufio.Reader) {
			readRequest(in)
			io.WriteString(conn, ok+"Transfer-Encoding: chunked\r\n\r\n")
			writeForever(conn, "2\r\nhi\r\n", time.Millisecond)
		},
		"endless interim status": func(conn net.Conn, in *bufio.Reader) {
			readRequest(in)
			writeForever(conn, "HTTP/1.1 100 Continue\r\n\r\n", time.Millisecond)
		},
		"endless error": func(conn net.Conn, in *bufio.Reader) {
			readRequest(in)
			io.WriteString(conn, "HTTP/1.1 500 No\r\n\r\n")
			writeForever(conn, long, time.Millisecond)
		},
	} {
		for _, rate := range []float64{0, 20} {
			all.Go(func() { // not t.Run with Parallel, which limits how many run at a time
				l := newReplay(t, listen(t, serve))
				l.Rate, l.Connections, l.Duration = rate, 2, 500*time.Millisecond
				r, err := l.Run(context.Background())
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				if r.Succeeded() > 0 || answered(r) > r.Status[5] || r.Sent == 0 || r.FirstError == nil {
					t.Errorf("%s: got %+v, want requests, an error and no success", name, r)
				}
			})
		}
	}
	all.Wait()
}

// An extra response must not be taken for the response to the next request.
func TestExtraResponse(t *testing.T) {
	t.Parallel()
	l := newReplay(t, listen(t, func(conn net.Conn, in *bufio.Reader) {
		for readRequest(in) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}))
	l.Rate, l.Duration = 50, time.Second/2
	if r := runLoad(t, context.Background(), l); r.Succeeded() > 0 || r.Status[5] == 0 {
		t.Errorf("got %+v, want responses with status 503 only", r)
	}
}

// The time that it takes to generate a fleet must not count as part of the run.
func TestSlowGenerator(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	l := newReplay(t, s.URL)
	requests := l.Requests
	const setup = 200 * time.Millisecond
	l.Requests = func(yield func(Request) bool) {
		time.Sleep(setup)
		requests(yield)
	}
	l.Rate, l.Duration = 100, 100*time.Millisecond
	begin := time.Now()
	r := runLoad(t, context.Background(), l)
	if rest := time.Since(begin) - r.Elapsed; r.Succeeded() != 10 || rest < setup || r.MaxLatency > r.Elapsed {
		t.Errorf("got %d successes, %v outside the run, latencies up to %v in a run of %v, want 10, at least %v, at most as long as the run",
			r.Succeeded(), rest, r.MaxLatency, r.Elapsed, setup)
	}
}

// Requests that are due while all connections wait for the service count as unsent.
func TestUnsent(t *testing.T) {
	t.Parallel()
	l := newReplay(t, listen(t, func(_ net.Conn, in *bufio.Reader) { io.Copy(io.Discard, in) }))
	l.Rate, l.Duration, l.Timeout = 1000, time.Second, time.Second
	if r := runLoad(t, context.Background(), l); r.Sent+r.Unsent != 1000 || r.Unsent == 0 || r.Failed != r.Sent || r.Sent < maxOpenLoopConns {
		t.Errorf("got %+v, want at least %d failed requests, and the others of 1000 unsent", r, maxOpenLoopConns)
	}
}

// A request without a response must fail after Timeout.
func TestTimeout(t *testing.T) {
	t.Parallel()
	l := newReplay(t, listen(t, func(_ net.Conn, in *bufio.Reader) { io.Copy(io.Discard, in) }))
	l.Connections, l.Duration, l.Timeout, l.Requests = 2, time.Hour, 100*time.Millisecond, limit(l.Requests, 4)
	if r := runLoad(t, context.Background(), l); r.Sent != 4 || r.Failed != 4 {
		t.Errorf("got %d requests, %d failed, want 4, all failed", r.Sent, r.Failed)
	}
}

// A canceled run must end soon, and must not count pending requests as failed.
func TestCancel(t *testing.T) {
	for loop, rate := range map[string]float64{"open": 100, "closed": 0} {
		t.Run(loop, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithCancel(context.Background())
			l := newReplay(t, listen(t, func(_ net.Conn, in *bufio.Reader) {
				if _, err := in.Peek(1); err == nil {
					stop()
				}
				io.Copy(io.Discard, in)
			}))
			l.Rate, l.Connections, l.Duration, l.Timeout = rate, 8, time.Hour, time.Hour // so that only the cancellation ends the run
			r := runLoad(t, ctx, l)
			if r.GivenUp == 0 || r.Sent != r.GivenUp || r.Failed > 0 {
				t.Errorf("got %+v, want all requests given up", r)
			}
		})
	}
}

// Run must return an error if it cannot connect to the service at the start.
func TestUnreachable(t *testing.T) {
	load := newLoad(t, "http://127.0.0.1:1")
	load.Rate, load.Duration = 100, time.Second
	if r, err := load.Run(context.Background()); err == nil {
		t.Errorf("got %+v, want an error", r)
	}
}

// BenchmarkLoad measures the cost of a request in the load generator and in a handler
// that does nothing, together.
func BenchmarkLoad(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	for _, connections := range []int{1, 64} {
		for _, source := range []string{"reports", "replay"} {
			b.Run(fmt.Sprintf("%s/%d", source, connections), func(b *testing.B) {
				l := newLoad(b, s.URL)
				if source == "replay" {
					l = newReplay(b, s.URL)
				}
				l.Connections, l.Duration, l.Requests = connections, time.Hour, limit(l.Requests, b.N)
				b.ReportAllocs()
				if r := runLoad(b, context.Background(), l); r.Succeeded() != int64(b.N) {
					b.Errorf("got %d successes, want %d: %v", r.Succeeded(), b.N, r.FirstError)
				}
			})
		}
	}
}
