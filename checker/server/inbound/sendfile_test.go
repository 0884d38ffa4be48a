package inbound

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// fileServer serves the bytes of a file to every request.
type fileServer struct {
	*Listener
	content []byte
	ended   chan error // of the copy to the client
}

func newFileServer(t *testing.T, size int, timeout time.Duration, source func(*os.File) io.Reader) *fileServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fileServer{content: make([]byte, size), ended: make(chan error, 10)}
	rand.NewChaCha8([32]byte{1}).Read(s.content)
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, s.content, 0o600); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Received(r.Context())
		file, err := os.Open(name)
		if err != nil {
			t.Error(err)
			return
		}
		defer file.Close()
		w.Header().Set("Content-Length", fmt.Sprint(size))
		n, err := io.CopyN(w, source(file), int64(size))
		if err == nil && n != int64(size) {
			err = fmt.Errorf("sent %d of %d bytes", n, size)
		}
		s.ended <- err
	})}
	s.Listener = LimitListener(l, 1000, server)
	s.writeTimeout, s.progressInterval = timeout, timeout/20
	go server.Serve(s.Listener)
	t.Cleanup(func() { server.Close() })
	return s
}

// get sends a request, and reads nothing of the response.
func (s *fileServer) get(t *testing.T) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.(*net.TCPConn).SetReadBuffer(64 << 10)
	c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	return c.(*net.TCPConn)
}

// slowReader pauses before each read.
type slowReader struct {
	io.Reader
	pause time.Duration
}

func (r slowReader) Read(p []byte) (int, error) {
	time.Sleep(r.pause)
	return r.Reader.Read(p[:min(len(p), 32<<10)])
}

// TestSlowDownload reads a file so slowly that it takes several times the write timeout. It
// must arrive whole.
func TestSlowDownload(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second // a busy machine may pause the client for a part of it
	s := newFileServer(t, 4<<20, timeout, func(f *os.File) io.Reader { return f })
	begun := time.Now()
	res, err := http.ReadResponse(bufio.NewReader(slowReader{s.get(t), timeout / 50}), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Equal(got, s.content) {
		t.Errorf("got %d bytes (error %v), want the %d bytes of the file", len(got), err, len(s.content))
	}
	if took := time.Since(begun); took < 2*timeout {
		t.Errorf("the download took %v, want more than %v", took, 2*timeout)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("got %v from the copy, want no error", err)
	}
}

// TestStalledDownload reads nothing. The server must close the connection.
func TestStalledDownload(t *testing.T) {
	s := newFileServer(t, 32<<20, 100*time.Millisecond, func(f *os.File) io.Reader { return f })
	s.get(t)
	select {
	case err := <-s.ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the server still waits after 20 s, want an end after 100 ms")
	}
}

// TestDownloadOfReader sends a reader that is not a file, and a file that is too short.
func TestDownloadOfReader(t *testing.T) {
	s := newFileServer(t, 300_000, time.Second, func(f *os.File) io.Reader { return bufio.NewReader(f) })
	res, err := http.ReadResponse(bufio.NewReader(s.get(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, s.content) {
		t.Errorf("got %d bytes (error %v), want the %d bytes of the file", len(got), err, len(s.content))
	}
	s = newFileServer(t, 300_000, time.Second, func(f *os.File) io.Reader { f.Seek(100_000, io.SeekStart); return f })
	res, err = http.ReadResponse(bufio.NewReader(s.get(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(got, s.content[100_000:]) {
		t.Errorf("file that is too short: got %d bytes (error %v), want 200000 and %v", len(got), err, io.ErrUnexpectedEOF)
	}
}
