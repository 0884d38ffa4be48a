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

var slowCallers = flag.Int("slow", 500, "how many callers are slow on purpose at once")

// slowCrowd are callers who are slow on purpose, and come back when they are sent away.
type slowCrowd struct {
	addr string
	css  string // path of something that the kernel does not take off the server's hands

	returning context.Context // until when they come back
	all       sync.WaitGroup
	turn      chan struct{} // bounds how many connect at once
	mu        sync.Mutex
	came      int
	err       error // of connecting
}

// gather starts n slow clients, which reconnect until ctx is done and then stay as
// long as the server lets them.
func gather(ctx context.Context, t *testing.T, p *process, n int) *slowCrowd {
	page, err := ask(ctx, "http://"+p.addr+"/privacy")
	css := regexp.MustCompile(`/assets/page\.[0-9a-f]+\.css`).FindString(page)
	if css == "" {
		t.Fatalf("no style sheet: %v\n%s", err, page)
	}
	c := &slowCrowd{addr: p.addr, css: css, returning: ctx, turn: make(chan struct{}, 20)}
	c.all.Go(func() { // two thousand a second: they are slow, and no flood
		for i := range n {
			if i%20 == 19 {
				time.Sleep(10 * time.Millisecond)
			}
			c.all.Go(func() { c.call(i) })
		}
	})
	return c
}

// call is one caller. One address has not ports enough for all.
func (c *slowCrowd) call(i int) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%200))}, Control: smallBuffer}
	for {
		c.turn <- struct{}{}
		conn, err := dialer.DialContext(c.returning, "tcp", c.addr)
		<-c.turn
		if c.returning.Err() != nil && err != nil {
			return
		}
		c.note(err)
		if err != nil {
			return
		}
		c.beSlow(conn, i)
		conn.Close()
		select {
		case <-c.returning.Done():
			return
		case <-time.After(5 * time.Second):
		}
	}
}

func (c *slowCrowd) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.came++; err != nil {
		c.err = err
	}
}

// beSlow sends a part of a request, and the next bytes of it one by one, until
// the server has had enough of it.
func (c *slowCrowd) beSlow(conn net.Conn, i int) {
	const header = "POST /v1/version HTTP/1.1\r\nHost: localhost\r\n"
	first, rest := "", ""
	switch i % 4 {
	case 1:
		first, rest = header, "User-Agent: Open Policy Agent/0.70.0 (linux, amd64)\r\n"
	case 2:
		first, rest = header+"Content-Length: 100\r\n\r\n{", strings.Repeat(" ", 90)
	case 3: // and reads none of the answers
		first = strings.Repeat("GET "+c.css+" HTTP/1.1\r\nHost: localhost\r\n\r\n", 30)
		defer await(conn)
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

// await returns once the other end has closed a connection of which nothing is
// read: only writing tells.
func await(conn net.Conn) {
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

// hardly is how long others may wait. A machine that has nothing else to do takes
// a tenth of it; without any bounds it were seconds.
const hardly = 250 * time.Millisecond

// Many callers are slow on purpose, each in one of four ways. That takes little
// memory, others hardly notice, and when they no longer come back they are gone soon.
func TestSlowClients(t *testing.T) {
	needFiles(t, *slowCallers+500)
	p := serve(t, filepath.Join(t.TempDir(), "relcheck.db"))
	pid := p.cmd.Process.Pid
	idle := sockets(t, pid)
	before := observe(t, p, time.Second, func() {})

	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	c := gather(ctx, t, p, *slowCallers)
	most, largest := 0, int64(0)
	during := observe(t, p, 3*time.Second+time.Duration(*slowCallers)*time.Millisecond/2, func() {
		most, largest = max(most, sockets(t, pid)), max(largest, resident(t, pid))
	})
	leave()
	begin := time.Now()
	for sockets(t, pid) > idle && time.Since(begin) < 30*time.Second {
		time.Sleep(50 * time.Millisecond)
	}
	gone := time.Since(begin)
	p.kill()
	c.all.Wait()

	t.Logf("%d slow callers came %d times; %d connections at once, %d MB", *slowCallers, c.came, most, largest>>20)
	t.Logf("of others, 99 %% had an answer within %v before and %v meanwhile; on a new connection %v and %v",
		before.kept, during.kept, before.fresh.p99(), during.fresh.p99())
	t.Logf("the slow ones were gone after %v", gone)
	switch {
	case c.err != nil || c.came < *slowCallers || most < min(*slowCallers/2, 2000):
		t.Errorf("this was no crowd: %v", c.err)
	case gone > 15*time.Second:
		t.Error("they should be gone within 15 s")
	case race: // which takes time and memory of its own
	case largest > 200<<20:
		t.Error("it should be less than 200 MB")
	case max(during.kept, during.fresh.p99()) > hardly:
		t.Error("others should hardly notice")
	}
}
