package command_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"relcheck/checker"
	"relcheck/checker/command"
	"relcheck/checker/server"
	"relcheck/db"
	"relcheck/db/pgtest"
)

// role makes the test's own binary be one of the processes under test.
const role = "RELCHECK_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		status := m.Run()
		pgtest.Stop()
		os.Exit(status)
	case "relcheck":
		os.Exit(command.Run(context.Background(), os.Args[1:], command.IO{Schema: readSchema(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	case "early":
		serveEarly(os.Args[len(os.Args)-1], readSchema())
	case "checkpoint":
		checkpoint(os.Args[1])
	case "nothing":
		serveBare(func(http.ResponseWriter, *http.Request) {})
	case "insert":
		serveBare(insertEach(os.Args[1]))
	}
}

func readSchema() string {
	schema, err := os.ReadFile(os.Getenv("RELCHECK_TEST_SCHEMA"))
	if err != nil {
		panic(err)
	}
	return string(schema)
}

// early is a store that answers from memory and records later.
type early struct {
	*db.Store
	*db.Writer
}

func (e early) Record(_ context.Context, product string, from checker.Platform, r *checker.Report) error {
	go e.Writer.Record(context.Background(), product, from, r)
	return nil
}

func (e early) As(who string) server.Editor { return e.Store.As(who) }

func serveEarly(path, schema string) {
	ctx := context.Background()
	s, err := db.Open(ctx, path, schema)
	if err != nil {
		panic(err)
	}
	w, err := s.NewWriter(slog.Default())
	if err != nil {
		panic(err)
	}
	h, err := server.New(ctx, early{s, w}, slog.Default(), server.Options{})
	if err != nil {
		panic(err)
	}
	serveBare(h.Handler().ServeHTTP)
}

// checkpoint writes the log of a SQLite store into its file, again and again.
func checkpoint(path string) {
	d, err := sql.Open("sqlite", "file:"+path+"?mode=rw&_busy_timeout=5000")
	if err != nil {
		panic(err)
	}
	fmt.Println("listening on http://nothing")
	for {
		if _, err := d.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			panic(err)
		}
	}
}

// process is a program under test that has said where it listens.
type process struct {
	cmd    *exec.Cmd
	scheme string // http or https
	addr   string
	errs   *testLog
}

// environment makes this binary take a role. What tests send comes from one
// address, and no server limits that unless it is told to.
func environment(t testing.TB, as string) []string {
	t.Helper()
	schema, err := filepath.Abs("../../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), role+"="+as, "RELCHECK_TEST_SCHEMA="+schema, "RELCHECK_SOURCE_RATE=0")
}

// start runs this binary in a role until the test ends.
func start(t testing.TB, as string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = environment(t, as)
	p := &process{cmd: cmd, errs: &testLog{TB: t}}
	cmd.Stderr = p.errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("%s said %q (%v) instead of where it listens", as, line, err)
	}
	p.scheme, p.addr, _ = strings.Cut(url, "://")
	return p
}

// testLog puts what a process says into the test's log, and keeps it.
type testLog struct {
	testing.TB
	mu   sync.Mutex
	said strings.Builder
}

func (l *testLog) Write(p []byte) (int, error) {
	l.Logf("%s", p)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.Write(p)
}

// count is how often the process has said something.
func (l *testLog) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.said.String(), text)
}

// kill ends the process the hard way, and waits for it.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// relcheck runs this binary as relcheck to its end.
func relcheck(t testing.TB, args ...string) (stdout string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = environment(t, "relcheck")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("relcheck %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

// relcheckStatus runs this binary as relcheck, however it ends, and returns all
// that it says.
func relcheckStatus(t testing.TB, args ...string) (output string, status int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = environment(t, "relcheck")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// missing skips a test for want of something that make test provides, and
// fails it where nothing may be wanting.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("missing: " + what)
	}
	t.Skip("missing: " + what)
}
