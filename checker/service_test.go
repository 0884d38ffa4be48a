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

// noLeaks fails the test if it leaves a goroutine behind. Those that are about to end
// get as long as a slow machine may take.
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

// harmless fails the test if it leaves a goroutine behind, or if the host's
// standard logger prints anything. slog's default one writes there too, from
// level info on.
func harmless(t *testing.T) {
	t.Helper()
	noLeaks(t)
	var printed strings.Builder
	former := log.Writer()
	log.SetOutput(&printed)
	t.Cleanup(func() {
		log.SetOutput(former)
		if printed.Len() > 0 {
			t.Errorf("printed by the host's logger: %s", printed.String())
		}
	})
}

// service is a listener whose connections are given to a function each.
type service struct {
	url   string
	mu    sync.Mutex
	conns []net.Conn
}

// serve starts a service on a free port. It ends with the test, and so do its
// connections.
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

// asked returns how many connections the service has had.
func (s *service) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// askedBefore returns how many connections were opened to the service before
// this call, those included that it has not got round to accept.
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

// readRequest reads one request's bytes.
func readRequest(conn net.Conn) (raw []byte, err error) {
	var seen bytes.Buffer
	request, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &seen)))
	if err == nil {
		_, err = io.Copy(io.Discard, request.Body)
	}
	return seen.Bytes(), err
}

// reply is a service that answers every report alike and closes.
func reply(response string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := readRequest(conn); err == nil {
			io.WriteString(conn, response)
		}
	}
}

// ok is a complete response with that body.
func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

const newer = `{"latest":{"download":"https://example.com/opa","release_notes":"https://example.com/notes","latest_release":"v9.0.0","opa_up_to_date":false}}`

// memory is a transport that needs no network, and so runs on synctest's clock.
type memory func(*http.Request) (*http.Response, error)

func (m memory) RoundTrip(r *http.Request) (*http.Response, error) { return m(r) }

func respond(body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}
}
