package server_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"relcheck/checker/server/inbound"
)

// countingListener counts the bytes that the kernel may send from files.
type countingListener struct {
	net.Listener
	bytes atomic.Int64
}

type countingConn struct {
	*net.TCPConn
	bytes *atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{c.(*net.TCPConn), &l.bytes}, nil
}

func (c countingConn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(r)
	if limited, ok := r.(*io.LimitedReader); ok {
		if _, ok := limited.R.(*os.File); ok {
			c.bytes.Add(n)
		}
	}
	return n, err
}

// TestFilesAreSentByKernel checks that all wrappers of responses and connections pass a
// file on to the TCP connection. Otherwise its content would be copied.
func TestFilesAreSentByKernel(t *testing.T) {
	s := newFileService(t, false)
	content := strings.Repeat("x", 10<<20)
	s.newProduct(t, "app", "").publish("v1")
	s.host(t, "app", "v1", "a.zip", content, true)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &countingListener{Listener: tcp}
	web := &http.Server{Handler: inbound.CloseAmbiguous(s.handler.Handler())}
	go web.Serve(inbound.LimitListener(l, 100, web))
	defer web.Close()
	res, err := http.Get("http://" + tcp.Addr().String() + "/files/app/v1/a.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != content {
		t.Errorf("got %d bytes (error %v), want %d", len(body), err, len(content))
	}
	if got := l.bytes.Load(); got < int64(len(content))*9/10 {
		t.Errorf("got %d bytes from a file, want nearly all of %d", got, len(content))
	}
}
