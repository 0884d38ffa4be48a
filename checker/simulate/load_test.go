package simulate

import (
	"bufio"
	"context"
	"fmt"
	"io"
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

// newLoad sends reports of a fleet to a service.
func newLoad(t testing.TB, address string) Load {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return Load{Service: u, Requests: Reports(1, 1000, nil, "opa", u)}
}

// newReplay sends what was captured, which takes less to make up.
func newReplay(t testing.TB, address string) Load {
	l := newLoad(t, address)
	l.Requests = Replay(captures(t)[:1], 1, math.MaxInt, false, l.Service)
	return l
}

func resultOf(t testing.TB, ctx context.Context, l Load) *Result {
	t.Helper()
	r, err := l.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r.Answered() != r.Status[1]+r.Status[2]+r.Status[3]+r.Status[4]+r.Status[5] || r.Answered() != r.Latency.Total() {
		t.Errorf("requests that were answered have no status, or no latency: %+v", r)
	}
	return r
}

// stalling answers at once, but for one second, once.
func stalling(t testing.TB) *httptest.Server {
	begin := time.Now()
	var once sync.Once
	var until atomic.Pointer[time.Time]
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if time.Since(begin) > time.Second/2 {
			once.Do(func() {
				end := time.Now().Add(time.Second)
				until.Store(&end)
			})
		}
		if end := until.Load(); end != nil {
			time.Sleep(time.Until(*end))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// A service that stalls for a second is slow for all who wanted something of it
// meanwhile. An open loop shows that; the control is a closed one, which does not:
// it has asked once in the meantime.
func TestStallShows(t *testing.T) {
	t.Parallel()
	open := newReplay(t, stalling(t).URL)
	open.Rate, open.Duration = 500, 3*time.Second // more in a second than it has connections for
	closed := newReplay(t, stalling(t).URL)
	closed.Connections, closed.Duration = 1, 3*time.Second
	control := make(chan *Result, 1)
	go func() {
		r, _ := closed.Run(context.Background())
		control <- r
	}()
	r := resultOf(t, context.Background(), open)
	if r.Sent != 1500 || r.Succeeded() != 1500 || r.Unsent != 0 {
		t.Fatalf("%d of 1500 requests sent, %d answered: %v", r.Sent, r.Succeeded(), r.Trouble)
	}
	seconds := func(r *Result, q float64) float64 { return r.Latency.Quantile(q) / 1e9 }
	// A third of all were to be sent while it stalled, and waited for up to a second.
	if p75, p99 := seconds(r, 0.75), seconds(r, 0.99); p75 < 0.15 || p99 < 0.9 || r.Longest < 950*time.Millisecond {
		t.Errorf("open loop: p75 %.3f s, p99 %.3f s, max %v", p75, p99, r.Longest)
	}
	if r = <-control; r == nil {
		t.Fatal("the control did not run")
	}
	if p99 := seconds(r, 0.99); r.Succeeded() < 101 || p99 > 0.5 || r.Longest < 950*time.Millisecond {
		t.Errorf("closed loop: %d answers, p99 %.3f s, max %v", r.Succeeded(), p99, r.Longest)
	}
}

// It counts what the service says, each answer once.
func TestCounts(t *testing.T) {
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
		case i%3 == 0: // in chunks
			w.(http.Flusher).Flush()
			io.WriteString(w, "a")
		}
	}))
	defer s.Close()
	var mu sync.Mutex
	ids := map[uuid.UUID]bool{}
	l := newLoad(t, s.URL)
	l.Rate, l.Duration = 300, time.Second
	l.Recorded = func(id uuid.UUID) {
		mu.Lock()
		defer mu.Unlock()
		ids[id] = true
	}
	r := resultOf(t, context.Background(), l)
	var reports, distinct int64
	for _, c := range r.Builds {
		reports += c.Reports
		distinct += c.IDs
	}
	if r.Sent != n.Load() || r.Sent != 300 || r.Status[5] != refused.Load() || r.Unrecorded != unrecorded.Load() || r.Failed > 0 ||
		r.Recorded != r.Sent-r.Status[5]-r.Unrecorded || reports != r.Recorded || distinct != r.IDs || r.IDs != int64(len(ids)) || r.IDs == r.Recorded {
		t.Errorf("of %d requests %d were refused and %d not recorded; counted are\n%+v", n.Load(), refused.Load(), unrecorded.Load(), r)
	}
	if r.Trouble == nil || r.Trouble.Error() != "status 503: not now" {
		t.Errorf("the trouble is %v", r.Trouble)
	}
}

// One connection sends the same requests in the same order, every time.
func TestSameOrderOnTheWire(t *testing.T) {
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
		enough := 0
		l.Recorded = func(uuid.UUID) {
			if enough++; enough == 200 {
				stop()
			}
		}
		resultOf(t, ctx, l)
		return all
	}
	if a, b := received(), received(); len(a) < 200 || strings.Join(a[:200], "") != strings.Join(b[:200], "") {
		t.Error("two sequences for one seed")
	}
}

// listening runs a service for each connection on its own.
func listening(t testing.TB, serve func(net.Conn, *bufio.Reader)) string {
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

// request reads one, and returns false when there is none any more.
func request(in *bufio.Reader) bool {
	r, err := http.ReadRequest(in)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	return err == nil
}

// forever writes again and again until the other side has had enough.
func forever(conn net.Conn, text string, pause time.Duration) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// Whatever a service does, the load ends in time, and says that it was not well.
func TestHostileServices(t *testing.T) {
	var all sync.WaitGroup
	const ok = "HTTP/1.1 200 OK\r\n"
	long := strings.Repeat("a", 4000)
	for name, serve := range map[string]func(net.Conn, *bufio.Reader){
		"closes at once":    func(net.Conn, *bufio.Reader) {},
		"closes when asked": func(_ net.Conn, in *bufio.Reader) { request(in) },
		"closes in between": func(conn net.Conn, in *bufio.Reader) {
			request(in)
			io.WriteString(conn, ok+"Content-Length: 10\r\n\r\nabc")
		},
		"garbage": func(conn net.Conn, in *bufio.Reader) {
			request(in)
			forever(conn, "\x00\xff\n\r\n"+long, time.Millisecond)
		},
		"silent":      func(_ net.Conn, in *bufio.Reader) { io.Copy(io.Discard, in) },
		"never reads": func(net.Conn, *bufio.Reader) { time.Sleep(20 * time.Second) },
		"slow":        func(conn net.Conn, in *bufio.Reader) { request(in); forever(conn, "H", 100*time.Millisecond) },
		"slow header": func(conn net.Conn, in *bufio.Reader) {
			io.WriteString(conn, ok)
			forever(conn, "A: b\r\n", 100*time.Millisecond)
		},
		"endless line": func(conn net.Conn, in *bufio.Reader) { request(in); forever(conn, long, time.Millisecond) },
		"endless header": func(conn net.Conn, in *bufio.Reader) {
			request(in)
			io.WriteString(conn, ok)
			forever(conn, "A: "+long+"\r\n", time.Millisecond)
		},
		"endless body": func(conn net.Conn, in *bufio.Reader) {
			request(in)
			io.WriteString(conn, ok+"\r\n")
			forever(conn, long, time.Millisecond)
		},
		"endless length": func(conn net.Conn, in *bufio.Reader) {
			request(in)
			io.WriteString(conn, ok+"Content-Length: 9223372036854775807\r\n\r\n")
			forever(conn, long, time.Millisecond)
		},
		"endless chunks": func(conn net.Conn, in *bufio.Reader) {
			request(in)
			io.WriteString(conn, ok+"Transfer-Encoding: chunked\r\n\r\n")
			forever(conn, "2\r\nhi\r\n", time.Millisecond)
		},
		"endless interim status": func(conn net.Conn, in *bufio.Reader) {
			request(in)
			forever(conn, "HTTP/1.1 100 Continue\r\n\r\n", time.Millisecond)
		},
		"endless error": func(conn net.Conn, in *bufio.Reader) {
			request(in)
			io.WriteString(conn, "HTTP/1.1 500 No\r\n\r\n")
			forever(conn, long, time.Millisecond)
		},
	} {
		for _, rate := range []float64{0, 20} {
			all.Go(func() { // all at once, however many tests may run at a time
				l := newReplay(t, listening(t, serve))
				l.Rate, l.Connections, l.Duration = rate, 2, 500*time.Millisecond
				begin := time.Now()
				r, err := l.Run(context.Background())
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				if d := time.Since(begin); d > l.Duration+15*time.Second {
					t.Errorf("%s: it took %v", name, d)
				}
				if r.Succeeded() > 0 || r.Answered() > r.Status[5] || r.Sent == 0 || r.Trouble == nil {
					t.Errorf("%s: %+v", name, r)
				}
			})
		}
	}
	all.Wait()
}

// A service that answers a request that was not sent yet, or more than was asked
// for, has no influence on what the next one gets.
func TestUnaskedAnswers(t *testing.T) {
	t.Parallel()
	l := newReplay(t, listening(t, func(conn net.Conn, in *bufio.Reader) {
		for request(in) {
			io.WriteString(conn, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}))
	l.Rate, l.Duration = 50, time.Second/2
	if r := resultOf(t, context.Background(), l); r.Succeeded() > 0 || r.Status[5] == 0 {
		t.Errorf("%+v", r)
	}
}

// What it takes to make up a fleet does not count as waiting for an answer.
func TestMakingUpTakesNoTime(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	l := newReplay(t, s.URL)
	requests := l.Requests
	l.Requests = func(yield func(Request) bool) {
		time.Sleep(2 * time.Second)
		requests(yield)
	}
	l.Rate, l.Duration = 100, 100*time.Millisecond
	if r := resultOf(t, context.Background(), l); r.Succeeded() != 10 || r.Longest > time.Second {
		t.Errorf("%d answers, and the longest took %v", r.Succeeded(), r.Longest)
	}
}

// A service that stands still lets requests pile up. They are told of.
func TestUnsent(t *testing.T) {
	t.Parallel()
	l := newReplay(t, listening(t, func(_ net.Conn, in *bufio.Reader) { io.Copy(io.Discard, in) }))
	l.Rate, l.Duration, l.Timeout = 1000, time.Second, time.Second
	if r := resultOf(t, context.Background(), l); r.Sent+r.Unsent != 1000 || r.Unsent == 0 || r.Failed != r.Sent || r.Sent < maxOpen {
		t.Errorf("%+v", r)
	}
}

// An answer that does not come is not waited for longer than said.
func TestTimeout(t *testing.T) {
	t.Parallel()
	l := newReplay(t, listening(t, func(_ net.Conn, in *bufio.Reader) { io.Copy(io.Discard, in) }))
	l.Connections, l.Duration, l.Timeout = 2, 1500*time.Millisecond, 200*time.Millisecond
	if r := resultOf(t, context.Background(), l); r.Failed != r.Sent || r.Sent < 4 {
		t.Errorf("%+v", r)
	}
}

// One who wants an end gets it soon, and what was not waited for is no failure.
func TestEnded(t *testing.T) {
	for loop, rate := range map[string]float64{"open": 100, "closed": 0} {
		t.Run(loop, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithCancel(context.Background())
			var ended time.Time
			var once sync.Once
			l := newReplay(t, listening(t, func(_ net.Conn, in *bufio.Reader) {
				if _, err := in.Peek(1); err == nil {
					once.Do(func() { ended = time.Now(); stop() })
				}
				io.Copy(io.Discard, in)
			}))
			l.Rate, l.Connections, l.Duration = rate, 8, time.Hour
			r := resultOf(t, ctx, l)
			if d := time.Since(ended); d > hurry+5*time.Second {
				t.Errorf("it took %v to end", d)
			}
			if r.GivenUp == 0 || r.Sent != r.GivenUp || r.Failed > 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What cannot be reached to begin with is an error, not a result.
func TestUnreachable(t *testing.T) {
	load := newLoad(t, "http://127.0.0.1:1")
	load.Rate, load.Duration = 100, time.Second
	if r, err := load.Run(context.Background()); err == nil {
		t.Errorf("%+v", r)
	}
}

// BenchmarkLoad is what a request costs the one who sends it and a handler that
// does nothing, together.
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
				requests := l.Requests
				l.Requests = func(yield func(Request) bool) {
					n := 0
					for r := range requests {
						if n == b.N || !yield(r) {
							return
						}
						n++
					}
				}
				l.Connections, l.Duration = connections, time.Hour
				b.ReportAllocs()
				if r := resultOf(b, context.Background(), l); r.Succeeded() != int64(b.N) {
					b.Errorf("%+v", r)
				}
			})
		}
	}
}
