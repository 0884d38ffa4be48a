package checker

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// noLeaks fails the test if goroutines are left at its end, after a delay that suffices on
// a slow machine.
func noLeaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		err := goleak.Find(before)
		for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); {
			err = goleak.Find(before)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// harmless fails the test if goroutines are left at its end, or if the host's standard
// logger prints anything. slog's default logger also writes there, from level info on.
func harmless(t *testing.T) {
	t.Helper()
	noLeaks(t)
	var printed strings.Builder
	former := log.Writer()
	log.SetOutput(&printed)
	t.Cleanup(func() {
		log.SetOutput(former)
		if printed.Len() > 0 {
			t.Errorf("the host's logger printed: %s", printed.String())
		}
	})
}

// service is a listener that passes each connection to a function.
type service struct {
	url   string
	mu    sync.Mutex
	conns []net.Conn
}

// serve starts a service on a free port. At the end of the test it is stopped and its
// connections are closed.
func serve(t *testing.T, handle func(net.Conn)) *service {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, listener, "http", handle)
}

func serveOn(t *testing.T, listener net.Listener, scheme string, handle func(net.Conn)) *service {
	s := &service{url: scheme + "://" + listener.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			running.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.mu.Lock()
		for _, conn := range s.conns {
			conn.Close()
		}
		s.mu.Unlock()
		running.Wait()
	})
	return s
}

// asked returns the number of accepted connections.
func (s *service) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// askedBefore returns the number of connections that were opened before this call,
// including connections that are not accepted yet.
func (s *service) askedBefore(t *testing.T) int {
	mark, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer mark.Close()
	for {
		s.mu.Lock()
		i := slices.IndexFunc(s.conns, func(c net.Conn) bool { return c.RemoteAddr().String() == mark.LocalAddr().String() })
		s.mu.Unlock()
		if i >= 0 {
			return i
		}
		time.Sleep(time.Millisecond)
	}
}

// readRequest returns the bytes of one request.
func readRequest(conn net.Conn) (raw []byte, err error) {
	var seen bytes.Buffer
	request, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &seen)))
	if err == nil {
		_, err = io.Copy(io.Discard, request.Body)
	}
	return seen.Bytes(), err
}

// reply returns a handler that sends a response to the request and closes the connection.
func reply(response string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := readRequest(conn); err == nil {
			io.WriteString(conn, response)
		}
	}
}

// ok returns a complete response with a body.
func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

const newer = `{"latest":{"download":"https://example.com/opa","release_notes":"https://example.com/notes","latest_release":"v9.0.0","opa_up_to_date":false}}`

// memory is a transport without a network, for use with synctest.
type memory func(*http.Request) (*http.Response, error)

func (m memory) RoundTrip(r *http.Request) (*http.Response, error) { return m(r) }

func respond(body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}
}
