package systemtest

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"relcheck/checker"
	"relcheck/checker/command"
	"relcheck/checker/server"
	"relcheck/checker/server/manage"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
	"relcheck/db/pgtest"
)

// role is the environment variable that makes this binary a process under test.
const role = "SYSTEMTEST_ROLE"

// schemaFile is the environment variable with the path of the schema.
const schemaFile = "SYSTEMTEST_SCHEMA"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		if path, err := filepath.Abs("../../schema.sql"); err == nil {
			os.Setenv(schemaFile, path)
		}
		os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0") // otherwise each process sleeps for a second before it exits
		status := m.Run()
		pgtest.Stop()
		os.Exit(status)
	case "relcheck":
		os.Exit(command.Run(context.Background(), os.Args[1:], command.IO{Schema: readSchema(), Clock: testClock(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	case "early":
		serveEarly(os.Args[len(os.Args)-1], readSchema())
	case "checkpoint":
		checkpoint(os.Args[1])
	case "nothing":
		serveHandler(func(http.ResponseWriter, *http.Request) {})
	case "sync":
		serveHandler(syncInBatches(os.Args[1]))
	case "import":
		if n, err := strconv.Atoi(os.Args[2]); err != nil || importInOneTransaction(os.Args[1], n) != nil {
			os.Exit(1)
		}
	case "insert":
		serveHandler(insertPerRequest(os.Args[1]))
	}
}

func readSchema() string {
	schema, err := os.ReadFile(os.Getenv(schemaFile))
	if err != nil {
		panic(err)
	}
	return string(schema)
}

// early is a store that acknowledges reports before it records them.
type early struct {
	*db.Store
	*db.Writer
}

func (e early) Record(_ context.Context, product string, from checker.Platform, r *checker.Report) (rollup.Day, error) {
	go e.Writer.Record(context.Background(), product, from, r)
	return 0, nil
}

func (e early) As(who string) manage.Store { return e.Store.As(who) }

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
	serveHandler(h.Handler().ServeHTTP)
}

// checkpoint runs checkpoints of a SQLite store in a loop.
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

// process is a program under test that listens.
type process struct {
	cmd       *exec.Cmd
	url, addr string
	out       *bufio.Reader // its standard output after the first line
	errs      *testLog      // its standard error, unless the command redirects it
}

// environment returns the environment for a role of this binary. The rate limit is
// off, because all requests of a test have one client IP.
func environment(as string) []string {
	return append(os.Environ(), role+"="+as, "RELCHECK_SOURCE_RATE=0")
}

// start runs this binary in a role until the test ends.
func start(t testing.TB, as string, args ...string) *process {
	t.Helper()
	return startBy(t, as, exec.Command(os.Args[0], args...))
}

// serve starts relcheck serve on a store.
func serve(t testing.TB, store string, args ...string) *process {
	t.Helper()
	return start(t, "relcheck", append([]string{"serve", "--listen", "127.0.0.1:0", "--db", store}, args...)...)
}

// startBy starts a command that becomes this binary, or prints its URL in the same
// way.
func startBy(t testing.TB, as string, cmd *exec.Cmd) *process {
	t.Helper()
	cmd.Env = environment(as)
	p := &process{cmd: cmd, errs: &testLog{TB: t}}
	if cmd.Stderr == nil {
		cmd.Stderr = p.errs
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	p.out = bufio.NewReader(out)
	line, ok := p.line(t), false
	if p.url, ok = strings.CutPrefix(line, "listening on "); !ok {
		t.Fatalf("first line of %s: got %q, want listening on a URL", as, line)
	}
	_, p.addr, _ = strings.Cut(p.url, "://")
	return p
}

// line returns the next line of standard output.
func (p *process) line(t testing.TB) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatalf("read a line: got %q, %v", line, err)
	}
	return strings.TrimSpace(line)
}

// stop interrupts the process and returns the rest of its standard output.
func (p *process) stop(t testing.TB) (out string) {
	t.Helper()
	p.cmd.Process.Signal(os.Interrupt)
	rest, err := io.ReadAll(p.out)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Wait()
	return string(rest)
}

// testLog writes the output of a process to the test's log, and keeps it.
type testLog struct {
	testing.TB
	mu     sync.Mutex
	output strings.Builder
}

func (l *testLog) Write(p []byte) (int, error) {
	l.Logf("%s", p)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.output.Write(p)
}

// String returns all output.
func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.output.String()
}

// count returns how often the output contains a text.
func (l *testLog) count(text string) int {
	return strings.Count(l.String(), text)
}

// kill kills the process and waits for its end.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// relcheck runs a relcheck command and returns its standard output.
func relcheck(t testing.TB, args ...string) (stdout string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = environment("relcheck")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("relcheck %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

// relcheckStatus runs a relcheck command and returns its output and exit status.
func relcheckStatus(t testing.TB, args ...string) (output string, status int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = environment("relcheck")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// missing skips a test that needs something that make test or make check installs. In CI it fails
// the test.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("missing: " + what)
	}
	t.Skip("missing: " + what)
}
