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

var slowClientCount = flag.Int("slow", 500, "how many callers are slow on purpose at once")

// slowClients are callers who are slow on purpose, and come back when they are sent away.
type slowClients struct {
	addr string
	css  string // path of something that the kernel does not take off the server's hands

	ctx context.Context // until when they come back
	wg       sync.WaitGroup
	connecting      chan struct{} // bounds how many connect at once
	mu        sync.Mutex
	connects      int
	err       error // of connecting
}

// startSlowClients starts n slow clients, which reconnect until ctx is done and then stay as
// long as the server lets them.
func startSlowClients(ctx context.Context, t *testing.T, p *process, n int) *slowClients {
	page, err := getOnNewConn(ctx, "http://"+p.addr+"/privacy")
	css := regexp.MustCompile(`/assets/page\.[0-9a-f]+\.css`).FindString(page)
	if css == "" {
		t.Fatalf("no style sheet: %v\n%s", err, page)
	}
	c := &slowClients{addr: p.addr, css: css, ctx: ctx, connecting: make(chan struct{}, 20)}
	c.wg.Go(func() { // two thousand a second: they are slow, and no flood
		for i := range n {
			if i%20 == 19 {
				time.Sleep(10 * time.Millisecond)
			}
			c.wg.Go(func() { c.run(i) })
		}
	})
	return c
}

// sendRaw is one caller. One address has not ports enough for all.
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

// sendSlowly sends a part of a request, and the next bytes of it one by one, until
// the server has had enough of it.
func (c *slowClients) sendSlowly(conn net.Conn, i int) {
	const header = "POST /v1/version HTTP/1.1\r\nHost: localhost\r\n"
	first, rest := "", ""
	switch i % 4 {
	case 1:
		first, rest = header, "User-Agent: Open Policy Agent/0.70.0 (linux, amd64)\r\n"
	case 2:
		first, rest = header+"Content-Length: 100\r\n\r\n{", strings.Repeat(" ", 90)
	case 3: // and reads none of the answers
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

// waitUntilClosed returns once the other end has closed a connection of which nothing is
// read: only writing tells.
func waitUntilClosed(conn net.Conn) {
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(500 * time.Millisecond) {
		if _, err := io.WriteString(conn, "G"); err != nil {
			return
		}
	}
}

// smallBuffer has the kernel keep little for a caller that reads nothing.
func smallBuffer(_, _ string, c syscall.RawConn) (err error) {
	set := func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) }
	if e := c.Control(set); e != nil {
		return e
	}
	return err
}

// maxLatency is how long others may wait. A machine that has nothing else to do takes
// a tenth of it; without any bounds it were seconds.
const maxLatency = 250 * time.Millisecond

// Many callers are slow on purpose, each in one of four ways. That takes little
// memory, others hardly notice, and when they no longer come back they are gone soon.
func TestSlowClients(t *testing.T) {
	needFiles(t, *slowClientCount+500)
	p := serve(t, filepath.Join(t.TempDir(), "relcheck.db"))
	pid := p.cmd.Process.Pid
	idle := sockets(t, pid)
	before := measureLatency(t, p, time.Second, func() {})

	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	c := startSlowClients(ctx, t, p, *slowClientCount)
	most, largest := 0, int64(0)
	during := measureLatency(t, p, 3*time.Second+time.Duration(*slowClientCount)*time.Millisecond/2, func() {
		most, largest = max(most, sockets(t, pid)), max(largest, resident(t, pid))
	})
	leave()
	begin := time.Now()
	for sockets(t, pid) > idle && time.Since(begin) < 30*time.Second {
		time.Sleep(50 * time.Millisecond)
	}
	gone := time.Since(begin)
	p.kill()
	c.wg.Wait()

	t.Logf("%d slow callers came %d times; %d connections at once, %d MB", *slowClientCount, c.connects, most, largest>>20)
	t.Logf("of others, 99 %% had an answer within %v before and %v meanwhile; on a new connection %v and %v",
		before.keepAlive, during.keepAlive, before.newConn.p99(), during.newConn.p99())
	t.Logf("the slow ones were gone after %v", gone)
	switch {
	case c.err != nil || c.connects < *slowClientCount || most < min(*slowClientCount/2, 2000):
		t.Errorf("this was no crowd: %v", c.err)
	case gone > 15*time.Second:
		t.Error("they should be gone within 15 s")
	case race: // which takes time and memory of its own
	case largest > 200<<20:
		t.Error("it should be less than 200 MB")
	case max(during.keepAlive, during.newConn.p99()) > maxLatency:
		t.Error("others should hardly notice")
	}
}
