package systemtest

import (
	"context"
	"flag"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var slowClientCount = flag.Int("slow", 500, "number of deliberately slow clients")

// slowClients are clients that are deliberately slow, and reconnect when they are
// disconnected.
type slowClients struct {
	addr string
	css  string // path of a response that is larger than the kernel's buffers

	ctx        context.Context // the clients reconnect until it is done
	wg         sync.WaitGroup
	connecting chan struct{} // limits the number of concurrent connection attempts
	mu         sync.Mutex
	connects   int
	err        error // last error of a connection attempt
}

// startSlowClients starts n slow clients, which reconnect until ctx is done and then stay
// connected as long as the server lets them.
func startSlowClients(ctx context.Context, t *testing.T, p *process, n int) *slowClients {
	page, err := getOnNewConn(ctx, "http://"+p.addr+"/privacy")
	css := regexp.MustCompile(`/assets/page\.[0-9a-f]+\.css`).FindString(page)
	if css == "" {
		t.Fatalf("got no style sheet in the page (error %v)\n%s", err, page)
	}
	c := &slowClients{addr: p.addr, css: css, ctx: ctx, connecting: make(chan struct{}, 20)}
	c.wg.Go(func() { // up to 2,000 new connections a second
		for i := range n {
			if i%20 == 19 {
				time.Sleep(10 * time.Millisecond)
			}
			c.wg.Go(func() { c.run(i) })
		}
	})
	return c
}

// run runs one client. The clients use several addresses, because one does not have
// enough ports.
func (c *slowClients) run(i int) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%200))}, Control: smallBuffer}
	for {
		c.connecting <- struct{}{}
		conn, err := dialer.DialContext(c.ctx, "tcp", c.addr)
		<-c.connecting
		if c.ctx.Err() != nil && err != nil {
			return
		}
		c.record(err)
		if err != nil {
			return
		}
		c.sendSlowly(conn, i)
		conn.Close()
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(5 * time.Second):
		}
	}
}

func (c *slowClients) record(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.connects++; err != nil {
		c.err = err
	}
}

// sendSlowly sends a part of a request and then the next bytes one by one, until the
// server closes the connection.
func (c *slowClients) sendSlowly(conn net.Conn, i int) {
	const header = "POST /v1/version HTTP/1.1\r\nHost: localhost\r\n"
	first, rest := "", ""
	switch i % 4 {
	case 1:
		first, rest = header, "User-Agent: Open Policy Agent/0.70.0 (linux, amd64)\r\n"
	case 2:
		first, rest = header+"Content-Length: 100\r\n\r\n{", strings.Repeat(" ", 90)
	case 3: // reads no responses
		first = strings.Repeat("GET "+c.css+" HTTP/1.1\r\nHost: localhost\r\n\r\n", 30)
		defer waitUntilClosed(conn)
	}
	_, err := io.WriteString(conn, first)
	for ; err == nil && rest != ""; rest = rest[1:] {
		time.Sleep(500 * time.Millisecond)
		_, err = io.WriteString(conn, rest[:1])
	}
	if i%4 != 3 {
		io.Copy(io.Discard, conn)
	}
}

// waitUntilClosed returns when the server has closed a connection. Nothing is read from
// it, so only a failed write shows that.
func waitUntilClosed(conn net.Conn) {
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(500 * time.Millisecond) {
		if _, err := io.WriteString(conn, "G"); err != nil {
			return
		}
	}
}

// smallBuffer sets a small receive buffer, for clients that read nothing.
func smallBuffer(_, _ string, c syscall.RawConn) (err error) {
	set := func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) }
	if e := c.Control(set); e != nil {
		return e
	}
	return err
}

// maxLatency limits the latency of other clients. On an idle machine it is a tenth of
// that, and without limits on slow clients it would be seconds.
const maxLatency = 250 * time.Millisecond

// TestSlowClients runs many clients that are slow in four ways. They must take little
// memory and hardly delay other clients, and their connections must be closed soon after
// they stop to reconnect.
func TestSlowClients(t *testing.T) {
	needFiles(t, *slowClientCount+500)
	p := serve(t, filepath.Join(t.TempDir(), "relcheck.db"))
	pid := p.cmd.Process.Pid
	idle := sockets(t, pid)
	before := measureLatency(t, p, time.Second, func() {})

	ctx, stopReconnecting := context.WithCancel(t.Context())
	defer stopReconnecting()
	c := startSlowClients(ctx, t, p, *slowClientCount)
	most, largest := 0, int64(0)
	during := measureLatency(t, p, 3*time.Second+time.Duration(*slowClientCount)*time.Millisecond/2, func() {
		most, largest = max(most, sockets(t, pid)), max(largest, resident(t, pid))
	})
	stopReconnecting()
	begin := time.Now()
	for sockets(t, pid) > idle && time.Since(begin) < 30*time.Second {
		time.Sleep(50 * time.Millisecond)
	}
	closed := time.Since(begin)
	p.kill()
	c.wg.Wait()

	t.Logf("%d slow clients connected %d times, up to %d connections and %d MB", *slowClientCount, c.connects, most, largest>>20)
	t.Logf("99th percentile of other clients %v before and %v meanwhile, with new connections %v and %v",
		before.keepAlive, during.keepAlive, before.newConn.p99(), during.newConn.p99())
	t.Logf("slow connections closed after %v", closed)
	switch {
	case c.err != nil || c.connects < *slowClientCount || most < min(*slowClientCount/2, 2000):
		t.Errorf("got %d slow connections (error %v), want at least %d", c.connects, c.err, *slowClientCount)
	case closed > 15*time.Second:
		t.Errorf("got slow connections closed after %v, want up to 15 s", closed)
	case race: // the race detector takes more time and memory
	case largest > 200<<20:
		t.Errorf("got %d MB of memory, want up to 200", largest>>20)
	case max(during.keepAlive, during.newConn.p99()) > maxLatency:
		t.Errorf("got a latency of other clients of %v, and %v with new connections, want up to %v", during.keepAlive, during.newConn.p99(), maxLatency)
	}
}
