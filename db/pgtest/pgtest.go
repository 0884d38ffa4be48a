// Package pgtest gives tests a PostgreSQL of their own: the one that is
// installed, in a temporary folder and on a free port, as a user without
// rights. It stops with the tests.
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

// The user that tests connect as. The password looks like nothing else, so that
// a test can search for it where no password may be.
const (
	User     = "relcheck"
	Password = "pa55-canary"
)

// Server is a running PostgreSQL. Its data outlives a stop.
type Server struct {
	Addr string // HOST:PORT
	dir  string
	cmd  *exec.Cmd
	done <-chan struct{} // closed when cmd has ended
}

var shared struct {
	sync.Once
	server *Server
	err    error
}

var databases atomic.Int64

// Database returns the URL of a new, empty database on a server that all tests
// of a process share. The test is skipped where PostgreSQL is not installed,
// and fails there if CI=true.
func Database(t testing.TB) (dsn string) {
	t.Helper()
	shared.Do(func() { shared.server, shared.err = New() })
	Need(t, shared.err)
	return shared.server.Database(t)
}

// Need skips a test for want of something that make test installs, and fails
// it where nothing may be wanting.
func Need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") != "true":
		t.Skipf("missing: %v", err)
	default:
		t.Fatalf("missing: %v", err)
	}
}

// Stop stops the shared server, if any. TestMain calls it last.
func Stop() {
	if shared.server != nil {
		shared.server.Remove()
	}
}

// Program finds one of PostgreSQL's programs. Debian keeps them off the path.
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

// New makes a server and starts it. The error wraps [exec.ErrNotFound] where
// PostgreSQL is not installed.
func New() (*Server, error) {
	initdb, err := Program("initdb")
	if err != nil {
		return nil, err
	}
	s := &Server{}
	if s.dir, err = Folder(); err != nil {
		return nil, err
	}
	if s.Addr, err = FreeAddr(); err != nil {
		return nil, err
	}
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(Password), 0o644); err != nil {
		return nil, err
	}
	cmd, err := Unprivileged(initdb, "--pgdata", s.data(), "--username", User, "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-instructions")
	if err != nil {
		return nil, err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%v: %v\n%s", cmd.Args, err, out)
	}
	return s, s.Start()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Start starts a server that was stopped, and waits until it answers.
func (s *Server) Start() error {
	program, err := Program("postgres")
	if err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(s.Addr)
	s.cmd, err = Unprivileged(program, "-D", s.data(), "-h", host, "-p", port, "-k", "", "-c", "max_connections=300")
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if s.done, err = Start(s.cmd); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			conn.Close(ctx)
			cancel()
			return nil
		}
		cancel()
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.Stop(syscall.SIGQUIT)
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, text)
		}
	}
}

// Start starts a command of [Unprivileged]. The channel is closed when it has
// ended. What ties its life to the tests is the thread that started it, and so
// that thread stays.
func Start(cmd *exec.Cmd) (done <-chan struct{}, err error) {
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

// Stop ends the server with a signal (SIGINT is a fast shutdown, SIGQUIT a
// crash) and waits for its end.
func (s *Server) Stop(with syscall.Signal) {
	if s.done != nil {
		s.cmd.Process.Signal(with)
		<-s.done
	}
}

// Remove stops the server for good.
func (s *Server) Remove() {
	s.Stop(syscall.SIGQUIT)
	os.RemoveAll(s.dir)
}

// DSN is the URL of a database of the server.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s", User, Password, s.Addr, database)
}

// Database makes a new, empty database and returns its URL.
func (s *Server) Database(t testing.TB) (dsn string) {
	t.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	Exec(t, s.DSN("postgres"), "CREATE DATABASE "+name)
	return s.DSN(name)
}

// Exec runs statements on a database.
func Exec(t testing.TB, dsn string, statements ...string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, q := range statements {
		if _, err := conn.Exec(ctx, q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// FreeAddr returns an address on loopback that nothing listens on, and that
// nobody is given who listens on any port, nor a connection for its own end: it is
// still free after a while.
func FreeAddr() (addr string, err error) {
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+rand.N(15000))); err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", err
}

// WithoutPassword takes the password out of a URL of [Server.DSN], for command
// lines; PGPASSWORD brings it back.
func WithoutPassword(dsn string) string {
	return strings.Replace(dsn, ":"+Password, "", 1)
}
