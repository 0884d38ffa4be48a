package systemtest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestShutdownFinishesRequests stops a server while a report is being sent. The report must
// be recorded and answered, and the exit status must be 0.
func TestShutdownFinishesRequests(t *testing.T) {
	t.Parallel()
	store := filepath.Join(t.TempDir(), "relcheck.db")
	s := serve(t, store)
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(waitTimeout))
	request := fmt.Appendf(nil, specimens[0], randomID(rand.New(rand.NewPCG(3, 4))))
	request = bytes.Replace(request, []byte("Host: a\r\n"), []byte("Host: a\r\nExpect: 100-continue\r\n"), 1)
	body := bytes.Index(request, []byte("\r\n\r\n")) + 10
	conn.Write(request[:body])
	responses := bufio.NewReader(conn)
	if line, err := responses.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" { // sent when the handler reads the body
		t.Fatalf("got %q (error %v), want 100 Continue\n%s", line, err, s.errs.String())
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	for deadline := time.Now().Add(waitTimeout); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		other, err := net.Dial("tcp", s.addr)
		if err != nil {
			break // the server accepts no more connections
		}
		other.Close()
	}
	conn.Write(request[body:])
	response, _ := io.ReadAll(responses)
	if o := outcomeOf(response); o.recorded != 1 {
		t.Errorf("got response %q, want a recorded report", response)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("got exit error %v, want none\n%s", err, s.errs.String())
	}
	if n := len(exportedIDs(t, store)); n != 1 {
		t.Errorf("got %d recorded reports, want 1", n)
	}
}

// TestInterruptAtStart interrupts a server as soon as it listens. It must exit with
// status 0.
func TestInterruptAtStart(t *testing.T) {
	t.Parallel()
	for range 8 {
		s := serve(t, filepath.Join(t.TempDir(), "relcheck.db"))
		s.stop(t)
		if status := s.cmd.ProcessState.ExitCode(); status != 0 {
			t.Fatalf("got exit status %d, want 0:\n%s", status, s.errs)
		}
	}
}
