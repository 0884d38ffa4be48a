//go:build !windows

package command

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// notifications is the socket of a service manager.
type notifications struct{ *net.UnixConn }

// startedByManager sets the environment of a process whose service manager has a watchdog.
func startedByManager(t *testing.T, watchdog time.Duration) notifications {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	return notifications{c}
}

// next returns the next notification, or "" if there is none within the time.
func (n notifications) next(t *testing.T, within time.Duration) string {
	t.Helper()
	n.SetReadDeadline(time.Now().Add(within))
	text := make([]byte, 100)
	size, err := n.Read(text)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return string(text[:size])
}

// A server notifies its service manager when it is ready, while it answers, and when it
// stops.
func TestServiceManager(t *testing.T) {
	n := startedByManager(t, 30*time.Millisecond)
	schema, err := os.ReadFile("../../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	status := make(chan int, 1)
	args := []string{"serve", "--listen", "localhost:0", "--db", filepath.Join(t.TempDir(), "relcheck.db")}
	go func() { status <- Run(ctx, args, IO{Schema: string(schema), Out: t.Output(), Err: t.Output()}) }()
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := n.next(t, 20*time.Second); got != want {
			t.Fatalf("got notification %q, want %q", got, want)
		}
	}
	stop()
	got := n.next(t, 20*time.Second)
	for got == "WATCHDOG=1" {
		got = n.next(t, 20*time.Second)
	}
	if got != "STOPPING=1" {
		t.Errorf("got notification %q, want STOPPING=1", got)
	}
	if got := <-status; got != 0 {
		t.Errorf("got exit status %d, want 0", got)
	}
}

// The watchdog is notified by a server that cannot record, but not by one that is stuck.
func TestWatchdog(t *testing.T) {
	const watchdog = 30 * time.Millisecond
	n := startedByManager(t, watchdog)
	var stuck atomic.Pointer[chan struct{}]
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := stuck.Load(); c != nil {
			<-*c
		}
		if r.URL.Path != "/readyz" {
			t.Errorf("got path %s, want /readyz", r.URL.Path)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	go newServiceManager(slog.New(slog.DiscardHandler)).watch(t.Context(), h)
	inTime := 0
	for deadline := time.Now().Add(20 * time.Second); inTime < 3; { // on a busy machine, some are late
		last := time.Now()
		if got := n.next(t, 20*time.Second); got != "WATCHDOG=1" {
			t.Fatalf("a server that is not ready: got notification %q, want WATCHDOG=1", got)
		}
		if time.Since(last) < watchdog { // as the first one always is
			inTime++
		}
		if time.Now().After(deadline) {
			t.Fatalf("a server that is not ready: %d notifications were in time, want 3", inTime)
		}
	}
	recovers := make(chan struct{})
	stuck.Store(&recovers)
	for deadline := time.Now().Add(20 * time.Second); n.next(t, 10*watchdog) != ""; { // from before it was stuck
		if time.Now().After(deadline) {
			t.Fatal("the watchdog is notified while the server is stuck")
		}
	}
	close(recovers)
	if got := n.next(t, 20*time.Second); got != "WATCHDOG=1" {
		t.Errorf("a server that has recovered: got notification %q, want WATCHDOG=1", got)
	}
}

// Without a service manager, or with the watchdog of another process, nothing is notified.
func TestNoServiceManager(t *testing.T) {
	n := startedByManager(t, time.Second)
	t.Setenv("WATCHDOG_PID", "1")
	if m := newServiceManager(slog.Default()); m.watchdog != 0 {
		t.Errorf("watchdog of process 1: got %s, want none", m.watchdog)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	newServiceManager(slog.Default()).notify("READY=1")
	if got := n.next(t, time.Millisecond); got != "" {
		t.Errorf("got notification %q, want none", got)
	}
}
