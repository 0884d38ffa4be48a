package checker

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// slow lists services that delay a part of the response, by synctest's clock.
var slow = map[string]func(net.Conn){
	"never reads": func(conn net.Conn) { time.Sleep(time.Minute) },
	"reads a byte a second": func(conn net.Conn) {
		for _, err := conn.Read(make([]byte, 1)); err == nil; _, err = conn.Read(make([]byte, 1)) {
			time.Sleep(time.Second)
		}
	},
	"a byte a second":     everySecond("", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 1),
	"a header a second":   everySecond("HTTP/1.1 200 OK\r\n", "X: x\r\n", 6),
	"a 100 a second":      everySecond("", "HTTP/1.1 100 Continue\r\n\r\n", 25),
	"a chunk a second":    everySecond("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", 6),
	"a space a second":    everySecond("HTTP/1.1 200 OK\r\n\r\n{", " ", 1),
	"redirects after 2 s": delayed(2*time.Second, "HTTP/1.1 307 Go\r\nContent-Length: 0\r\nLocation: /again\r\n\r\n"),
	"answers after 6 s":   delayed(6*time.Second, ok(newer)),
}

// everySecond sends response, and then size bytes of rest each second without limit.
func everySecond(response, rest string, size int) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		_, err := io.WriteString(conn, response)
		for i := 0; err == nil; i += size {
			time.Sleep(time.Second)
			_, err = io.WriteString(conn, rest[i%len(rest):i%len(rest)+size])
		}
	}
}

func delayed(by time.Duration, response string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		time.Sleep(by)
		io.WriteString(conn, response)
	}
}

// pipes returns the client's transport with connections in memory. It passes each
// connection to handle, and its duration to open.
func pipes(handle func(net.Conn), open func(time.Duration)) *transport {
	t := newTransport(nil)
	t.dial = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			handle(theirs)
		}()
		return &timed{Conn: ours, since: time.Now(), open: open}, nil
	}
	return t
}

// timed is a connection that calls open with its duration when it is closed.
type timed struct {
	net.Conn
	since time.Time
	open  func(time.Duration)
}

func (c *timed) Close() error {
	c.open(time.Since(c.since))
	return c.Conn.Close()
}

// TestSlow tests that Check and Start give up after 5 s in total and close their
// connections. synctest fails if a goroutine is left.
func TestSlow(t *testing.T) {
	for name, handle := range slow {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				closed := make(chan time.Duration, 1000)
				c := &Client{Product: "opa", Version: "0.70.0", URL: "http://service.invalid",
					Transport: pipes(handle, func(open time.Duration) { closed <- open })}
				start := time.Now()
				_, err := c.Check(t.Context())
				if took := time.Since(start); !errors.Is(err, errTimeout) || took != timeout {
					t.Errorf("Check: %v after %v", err, took)
				}
				ctx, cancel := context.WithCancel(t.Context())
				c.OnOutdated = func(l Latest) { t.Errorf("announced %+v", l) }
				c.Start(ctx)
				time.Sleep(10 * time.Hour)
				cancel()
				synctest.Wait()
				if n := len(closed); n < 5 {
					t.Errorf("%d connections were closed in 10 hours", n)
				}
				for len(closed) > 0 {
					if open := <-closed; open > timeout {
						t.Errorf("a connection was open for %v", open)
					}
				}
			})
		})
	}
}

// TestSlowToConnect tests that connecting does not exceed the timeout, as behind a
// firewall that drops packets, or with a name server that does not answer.
func TestSlowToConnect(t *testing.T) {
	for _, address := range []string{"http://service.invalid", "https://service.invalid"} {
		synctest.Test(t, func(t *testing.T) {
			transport := newTransport(nil)
			transport.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			start := time.Now()
			_, err := (&Client{Product: "opa", URL: address, Transport: transport}).Check(t.Context())
			if took := time.Since(start); !errors.Is(err, errTimeout) || took != timeout {
				t.Errorf("Check: %v after %v", err, took)
			}
		})
	}
}

// TestConnectionEndsWithRequest tests that the connection ends with the request during
// net/http's preparations, such as CONNECT to a proxy, which has a timeout of a minute.
func TestConnectionEndsWithRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		conn, err := boundDial(ctx, func(context.Context, string, string) (net.Conn, error) { return ours, nil })(ctx, "", "")
		if err != nil {
			t.Fatal(err)
		}
		go conn.Write([]byte("CONNECT"))
		if _, err := io.ReadFull(theirs, make([]byte, 7)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if n, err := theirs.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %d bytes, %v: the connection is still open", n, err)
		}
	})
}
