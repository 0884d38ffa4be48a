package inbound

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"time"
)

// progressInterval is the time between two checks whether a client of a file has read
// something.
const progressInterval = time.Second

// fileBufferSize is the size in bytes of the kernel's send buffer while a connection sends
// a large file.
const fileBufferSize = 512 << 10

// ReadFrom implements [io.ReaderFrom], so that the kernel sends files without copying them.
// A download may take any time if the client reads something every 10 seconds.
func (c *conn) ReadFrom(r io.Reader) (sent int64, err error) {
	socket, ok := c.Conn.(io.ReaderFrom)
	rest, limited := r.(*io.LimitedReader)
	if !ok || !limited || !isFile(rest.R) || !countsPartialSends {
		c.renewed.Store(true)
		return io.CopyBuffer(struct{ io.Writer }{c}, r, make([]byte, writeSize))
	}
	c.hasDeadline.Store(false)
	if large, ok := c.Conn.(interface{ SetWriteBuffer(int) error }); ok && rest.N > fileBufferSize {
		large.SetWriteBuffer(fileBufferSize) // best effort
	}
	for moved := time.Now(); rest.N > 0; {
		c.waitingSince.Store(moved.UnixNano())
		c.Conn.SetWriteDeadline(time.Now().Add(c.listener.progressInterval))
		before := rest.N
		n, err := socket.ReadFrom(rest)
		sent += n
		switch {
		case err == nil && n == 0: // the file is shorter than expected
			return sent, nil
		case n > 0:
			moved = time.Now()
		case time.Since(moved) >= c.listener.writeTimeout:
			return sent, err
		}
		if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || before-rest.N != n) { // without sendfile, bytes that were read are lost
			return sent, err
		}
	}
	return sent, nil
}

// countsPartialSends reports whether the system returns how much of a file it sent before a
// deadline.
const countsPartialSends = runtime.GOOS != "windows"

func isFile(r io.Reader) bool {
	_, ok := r.(*os.File)
	return ok
}

// RenewDeadline makes the write timeout start again at each write of the response to the
// request with the context ctx, as [http.ResponseWriter] does for files without TLS.
func RenewDeadline(ctx context.Context) {
	if c := connFromContext(ctx); c != nil {
		c.renewed.Store(true)
	}
}

// HoldHeader makes the connection hold the next write, which must be the flushed header of
// the response, and send it together with the following one. It must not be used with TLS.
func HoldHeader(ctx context.Context) {
	if c := connFromContext(ctx); c != nil {
		c.holding = true
	}
}

// writeHeld writes the held header and p.
func (c *conn) writeHeld(p []byte) (int, error) {
	header := len(c.held)
	both := net.Buffers{c.held, p}
	n, err := both.WriteTo(c.Conn)
	c.held = c.held[:0]
	return max(int(n)-header, 0), err
}

// Release ends the reservation of a response that [WriteBody] has not written.
func Release(ctx context.Context) {
	if c := connFromContext(ctx); c != nil {
		c.listener.mu.Lock()
		defer c.listener.mu.Unlock()
		c.listener.release(c)
	}
}
