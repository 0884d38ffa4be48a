package checker

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"relcheck/checker/printable"
)

// TestTruncatedResponse closes the connection after each byte of a response.
func TestTruncatedResponse(t *testing.T) {
	harmless(t)
	for name, response := range map[string]string{
		"length":      ok(newer),
		"until close": "HTTP/1.1 200 OK\r\n\r\n" + newer,
		"chunked":     fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(newer), newer),
	} {
		var at atomic.Int64
		s := serve(t, func(conn net.Conn) {
			readRequest(conn)
			io.WriteString(conn, response[:at.Load()])
		})
		c := &Client{Product: "opa", Version: "0.70.0", URL: s.url}
		for i := range len(response) + 1 {
			at.Store(int64(i))
			answer, err := c.Check(t.Context())
			if whole := i == len(response); whole != (err == nil) || whole == (answer == Answer{}) {
				t.Errorf("%s, %d of %d bytes: %+v, %v", name, i, len(response), answer, err)
			}
		}
	}
}

// TestTruncatedRequest closes the connection after each byte of a request. The client must not
// send the request again.
func TestTruncatedRequest(t *testing.T) {
	harmless(t)
	var at atomic.Int64
	length := make(chan int, 1)
	s := serve(t, func(conn net.Conn) {
		if n := at.Load(); n >= 0 {
			io.CopyN(io.Discard, conn, n)
			return
		}
		raw, _ := readRequest(conn)
		length <- len(raw)
		io.WriteString(conn, ok(newer))
	})
	c := &Client{Product: "opa", Version: "0.70.0", Platform: Platform{"linux", "amd64"}, URL: s.url}
	at.Store(-1)
	if _, err := c.Check(t.Context()); err != nil {
		t.Fatalf("whole request: %v", err)
	}
	cuts := <-length - 3 // the heap in a later request may have fewer digits
	for i := range cuts {
		at.Store(int64(i))
		answer, err := c.Check(t.Context())
		if err == nil || answer != (Answer{}) || printable.Check(err.Error()) != nil {
			t.Errorf("%d bytes: %+v, %q", i, answer, err)
		}
	}
	if n := s.asked(); n != cuts+1 {
		t.Errorf("%d reports opened %d connections, want one each", cuts+1, n)
	}
}
