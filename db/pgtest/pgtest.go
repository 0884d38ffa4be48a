// Package pgtest starts PostgreSQL servers for tests. A server uses the installed
// PostgreSQL, a temporary directory, a free port and an unprivileged user. It stops when
// the tests end.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The user and password of the tests. The password is a unique string, so that a test
// can search output that must not contain it.
const (
	User     = "relcheck"
	Password = "pa55-canary"
)

// Server is a PostgreSQL server. It keeps its data when it is stopped.
type Server struct {
	Addr string // HOST:PORT
	dir  string
	cmd  *exec.Cmd
	done <-chan struct{} // closed when cmd has exited
}

var shared struct {
	sync.Once
	server *Server
	err    error
}

var databases atomic.Int64

// Database returns the URL of a new, empty database. All tests of a process share its
// server. If PostgreSQL is not installed, Database skips the test, or fails it if CI is
// "true".
func Database(t testing.TB) (dsn string) {
	t.Helper()
	shared.Do(func() { shared.server, shared.err = New() })
	RequireInstalled(t, shared.err)
	return shared.server.Database(t)
}

// RequireInstalled skips the test if err says that a program is not installed, or fails
// it if CI is "true". It fails the test for any other error.
func RequireInstalled(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") != "true":
		t.Skipf("not installed: %v", err)
	default:
		t.Fatalf("cannot start PostgreSQL: %v", err)
	}
}

// Stop removes the shared server, if any. TestMain calls it after the tests.
func Stop() {
	if shared.server != nil {
		shared.server.Remove()
	}
}

// Program returns the path of one of PostgreSQL's programs. On Debian they are not in
// PATH.
func Program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		return "", fmt.Errorf("PostgreSQL's %s: %w", name, exec.ErrNotFound)
	}
	return slices.Max(found), nil
}

// New creates and starts a server. The error wraps [exec.ErrNotFound] if PostgreSQL is
// not installed.
func New() (*Server, error) {
	initdb, err := Program("initdb")
	if err != nil {
		return nil, err
	}
	s := &Server{}
	if s.dir, err = tempDir(); err != nil {
		return nil, err
	}
	if s.Addr, err = FreeAddr(); err != nil {
		return nil, err
	}
	passwordFile := filepath.Join(s.dir, "password")
	if err := os.WriteFile(passwordFile, []byte(Password), 0o644); err != nil {
		return nil, err
	}
	cmd, err := command(initdb, "--pgdata", s.data(), "--username", User, "--pwfile", passwordFile,
		"--auth", "password", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-instructions")
	if err != nil {
		return nil, err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%v: %v\n%s", cmd.Args, err, out)
	}
	return s, s.Start()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Start starts a stopped server, and waits until it accepts connections.
func (s *Server) Start() error {
	program, err := Program("postgres")
	if err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(s.Addr)
	s.cmd, err = command(program, "-D", s.data(), "-h", host, "-p", port, "-k", "", "-c", "max_connections=300")
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if s.done, err = start(s.cmd); err != nil {
		return err
	}
	if err = waitFor(func() error { return ping(s.DSN("postgres")) }); err != nil {
		text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		s.Stop(syscall.SIGQUIT)
		err = fmt.Errorf("PostgreSQL accepts no connections: %w\n%s", err, text)
	}
	return err
}

// readyTimeout is how long a server or a cluster may take to become ready.
const readyTimeout = 90 * time.Second

// waitFor waits until check returns no error.
func waitFor(check func() error) (err error) {
	for deadline := time.Now().Add(readyTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = check(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("not ready after %v: %w", readyTimeout, err)
}

// ping connects to a database.
func ping(dsn string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err == nil {
		err = conn.Close(ctx)
	}
	return err
}

// start starts a command. The channel is closed when the command has exited. The kernel
// signals the command when the thread that started it ends, so start keeps that thread
// until the command has exited.
func start(cmd *exec.Cmd) (done <-chan struct{}, err error) {
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	return ended, <-started
}

// Stop sends a signal to the server (SIGINT: fast shutdown, SIGQUIT: crash) and waits
// until it has exited.
func (s *Server) Stop(sig syscall.Signal) {
	if s.done != nil {
		s.cmd.Process.Signal(sig)
		<-s.done
	}
}

// Remove stops the server and deletes its data.
func (s *Server) Remove() {
	s.Stop(syscall.SIGQUIT)
	os.RemoveAll(s.dir)
}

// DSN returns the URL of a database of the server.
func (s *Server) DSN(database string) string { return dsn(User, database, s.Addr) }

func dsn(user, database string, addrs ...string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s", user, Password, strings.Join(addrs, ","), database)
}

// Database creates an empty database and returns its URL.
func (s *Server) Database(t testing.TB) (dsn string) {
	t.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	Exec(t, s.DSN("postgres"), "CREATE DATABASE "+name)
	return s.DSN(name)
}

// Exec runs statements on a database.
func Exec(t testing.TB, dsn string, statements ...string) {
	t.Helper()
	if err := execute(context.Background(), dsn, statements...); err != nil {
		t.Fatal(err)
	}
}

// execute runs statements on a database, each in a transaction of its own.
func execute(ctx context.Context, dsn string, statements ...string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, q := range statements {
		if _, err := conn.Exec(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

// FreeAddr returns a loopback address with an unused port. The port is below the range
// that the system assigns to listeners on port 0 and to outgoing connections, so that it
// is likely to remain unused.
func FreeAddr() (addr string, err error) {
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+rand.N(15000))); err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", err
}

// WithoutPassword removes the password from a URL of [Server.DSN], for use with
// PGPASSWORD.
func WithoutPassword(dsn string) string {
	return strings.Replace(dsn, ":"+Password, "", 1)
}
