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

	"relcheck/checker/catalog"
	"relcheck/db"
)

// childRole makes the test's own binary use a store as another process: its value is
// "record PATH", "change PATH" or "read PATH", with "trusting " before it for one that
// does not look for other names.
const childRole = "RELCHECK_TEST_CHILD"

// runChildRole does what a role is, and ends the process. What was done is printed, one line
// each: the ID of a report that was acknowledged or read, or the name of a product that was added.
func runChildRole(role string) {
	role, trusting := strings.CutPrefix(role, "trusting ")
	if trusting {
		db.DisableNameDetection()
	}
	what, path, _ := strings.Cut(role, " ")
	do := map[string]func(*db.Store) error{"record": recordUntilStopped, "change": addProduct, "read": printReports}[what]
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
				if w.Record(context.Background(), "opa", linux, r) != nil {
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

// child is a process that has a role.
type child struct {
	cmd     *exec.Cmd
	stderr  strings.Builder
	done    chan struct{} // all that it prints was read
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
			if err != nil { // a line that was cut off says nothing
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

// startRecording is one that records, and has begun to.
func startRecording(t testing.TB, role string) *child {
	t.Helper()
	c := startChild(t, role)
	if !c.awaitRecording() {
		t.Fatalf("%s: %s", role, c.stderr.String())
	}
	return c
}

// begins waits until it records n reports or more, or has ended.
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

// stop ends it in good order.
func (c *child) stop() error {
	c.cmd.Process.Signal(syscall.SIGTERM)
	return c.wait()
}

func (c *child) wait() error {
	<-c.done
	return c.cmd.Wait()
}
