package db_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// childRole is an environment variable that makes the test binary use a store as another
// process. Its value is "record PATH", "remember PATH", "change PATH", "read PATH", "apply PATH" or "counts PATH". With the prefix
// "trusting ", the process does not check for other names of the store.
const childRole = "RELCHECK_TEST_CHILD"

// runChildRole executes a role and exits. It prints one line for each instance ID that was
// acknowledged or read, and for each product that was added or read.
func runChildRole(role string) {
	role, trusting := strings.CutPrefix(role, "trusting ")
	if trusting {
		db.DisableNameDetection()
	}
	what, path, _ := strings.Cut(role, " ")
	do := map[string]func(*db.Store) error{"record": recordUntilStopped, "remember": rememberUntilStopped, "change": addProduct, "read": printReports, "apply": applyBundle, "counts": applyCountsUntilKilled}[what]
	text, err := os.ReadFile("../schema.sql")
	var s *db.Store
	if err == nil {
		s, err = db.Open(context.Background(), path, string(text))
	}
	if err == nil {
		err = do(s)
		s.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func recordUntilStopped(s *db.Store) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	w, err := s.NewWriter(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	fmt.Println("begin")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				r := report("1.0.0")
				if _, err := w.Record(context.Background(), "opa", linux, r); err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				fmt.Println(r.ID)
			}
		})
	}
	wg.Wait()
	return w.Close()
}

// rememberUntilStopped records reports of installations. It prints the instance ID of each
// and what it remembers before it is recorded, and again once it is acknowledged.
func rememberUntilStopped(s *db.Store) error {
	w, err := s.NewWriter(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	fmt.Println("begin")
	day := checker.Last(rollup.DayOf(time.Now()))
	lasts := []checker.Last{checker.NeverAnswered, day, day - 1, day - 8, day - 40}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				r := report([]string{"1.0.0", "1.1.0"}[i%2])
				r.Last = lasts[i%len(lasts)]
				fmt.Println("sent", r.ID, int64(r.Last))
				if _, err := w.Record(context.Background(), "opa", linux, r); err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				fmt.Println("acknowledged", r.ID, int64(r.Last))
			}
		})
	}
	wg.Wait()
	return w.Close()
}

func addProduct(s *db.Store) error {
	name := "p" + uuid.NewString()[:8]
	err := s.AddProduct(context.Background(), catalog.Product{Name: name, Title: name})
	if err == nil {
		fmt.Println(name)
	}
	return err
}

func printReports(s *db.Store) error {
	all, err := readReports(s, "opa")
	for _, r := range all {
		fmt.Println(r.ID)
	}
	products, err2 := s.Products(context.Background())
	for _, p := range products {
		fmt.Println(p.Name)
	}
	return errors.Join(err, err2)
}

// child is a process that executes a role.
type child struct {
	cmd     *exec.Cmd
	stderr  strings.Builder
	done    chan struct{} // closed once its output has been read
	mu      sync.Mutex
	printed []string
}

func startChild(t testing.TB, role string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0]), done: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childRole+"="+role)
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	go func() {
		defer close(c.done)
		for lines := bufio.NewReader(out); ; {
			line, err := lines.ReadString('\n')
			if err != nil { // ignore a truncated line
				io.Copy(io.Discard, out)
				return
			}
			c.mu.Lock()
			c.printed = append(c.printed, strings.TrimSpace(line))
			c.mu.Unlock()
		}
	}()
	return c
}

// startRecording starts a child that records, and waits for its first report.
func startRecording(t testing.TB, role string) *child {
	t.Helper()
	c := startChild(t, role)
	if !c.awaitRecording() {
		t.Fatalf("%s: %s", role, c.stderr.String())
	}
	return c
}

// awaitRecording waits until the child has recorded a report, and returns false if it has
// exited without one.
func (c *child) awaitRecording() bool {
	for {
		if len(c.output()) > 1 {
			return true
		}
		select {
		case <-c.done:
			return len(c.output()) > 1
		case <-time.After(time.Millisecond):
		}
	}
}

func (c *child) output() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.printed[:len(c.printed):len(c.printed)]
}

func (c *child) kill() {
	c.cmd.Process.Kill()
	c.wait()
}

// stop shuts the child down cleanly.
func (c *child) stop() error {
	c.cmd.Process.Signal(syscall.SIGTERM)
	return c.wait()
}

func (c *child) wait() error {
	<-c.done
	return c.cmd.Wait()
}
