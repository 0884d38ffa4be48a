package pgtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Pooled returns the URL of a new, empty database behind a PgBouncer, which pools
// connections by session, transaction or statement. The PgBouncer stops with the test.
// The test is skipped if PgBouncer is not installed, and fails in that case if CI=true.
func Pooled(t testing.TB, mode string) (dsn string) {
	t.Helper()
	direct := Database(t)
	program, err := pgbouncer()
	RequireInstalled(t, err)
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := tempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	host, port, _ := net.SplitHostPort(addr)
	serverHost, serverPort, _ := net.SplitHostPort(shared.server.Addr)
	config, users := filepath.Join(dir, "pgbouncer.ini"), filepath.Join(dir, "users.txt")
	text := fmt.Sprintf(`[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = %s
default_pool_size = 20
`, serverHost, serverPort, host, port, users, mode)
	for name, text := range map[string]string{config: text, users: fmt.Sprintf("%q %q\n", User, Password)} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd, err := command(program, config)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cmd.Stderr = &log
	done, err := start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGKILL)
		<-done
		if t.Failed() {
			t.Logf("PgBouncer:\n%s", log.String())
		}
	})
	dsn = strings.Replace(direct, shared.server.Addr, addr, 1)
	if err := waitFor(func() error { return ping(dsn) }); err != nil {
		t.Fatalf("PgBouncer accepts no connections: %v", err)
	}
	return dsn
}

// pgbouncer returns the path of PgBouncer. Debian installs it where only root's PATH
// looks.
func pgbouncer() (string, error) {
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		return path, nil
	}
	path, err := exec.LookPath("/usr/sbin/pgbouncer")
	if err != nil {
		err = fmt.Errorf("PgBouncer: %w", exec.ErrNotFound)
	}
	return path, err
}
