package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is three PostgreSQL servers under Patroni. Patroni makes one of them the
// primary and another one its synchronous standby, and keeps its state in etcd.
type Cluster struct {
	dir     string
	etcd    string    // HOST:PORT
	cmd     *exec.Cmd // etcd; nil before it is started
	done    <-chan struct{}
	members []*Member
}

// Member is a PostgreSQL server of a cluster with its Patroni.
type Member struct {
	Name string
	Addr string // HOST:PORT of PostgreSQL
	api  string // HOST:PORT of Patroni's REST API
	dir  string
	cmd  *exec.Cmd // Patroni; nil while it does not run
	done <-chan struct{}
}

const (
	// members is the number of members of a cluster: enough for a primary and a
	// synchronous standby after the failure of one.
	members = 3
	// admin is Patroni's own PostgreSQL user.
	admin = "admin"
)

// NewCluster creates a cluster and waits until it is healthy. The error wraps
// [exec.ErrNotFound] if a required program is not installed.
func NewCluster() (*Cluster, error) {
	if err := findPrograms(); err != nil {
		return nil, err
	}
	dir, err := tempDir()
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir}
	if err := c.create(); err != nil {
		err = fmt.Errorf("%w\n%s", err, c.Logs())
		c.Remove()
		return nil, err
	}
	return c, nil
}

// findPrograms returns an error if a required program is not installed.
func findPrograms() error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("no Patroni on %s: %w", runtime.GOOS, exec.ErrNotFound)
	}
	for _, p := range []struct{ name, debianPackage string }{{"patroni", "patroni"}, {"etcd", "etcd-server"}} {
		if _, err := exec.LookPath(p.name); err != nil {
			return fmt.Errorf("missing Debian package %s: %w", p.debianPackage, err)
		}
	}
	for _, name := range []string{"postgres", "initdb", "pg_basebackup", "pg_rewind"} {
		if _, err := Program(name); err != nil {
			return fmt.Errorf("missing Debian package postgresql: %w", err)
		}
	}
	return nil
}

func (c *Cluster) create() error {
	if err := c.startEtcd(); err != nil {
		return err
	}
	for i := range members {
		m, err := c.newMember(fmt.Sprintf("member%d", i+1))
		if err != nil {
			return err
		}
		c.members = append(c.members, m)
		if err := m.start(); err != nil {
			return err
		}
	}
	if err := waitFor(c.healthy); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := execute(ctx, c.primary(),
		fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", User, Password),
		fmt.Sprintf("CREATE DATABASE %s OWNER %[1]s", User)); err != nil {
		return err
	}
	return waitFor(c.databaseReplicated)
}

// startEtcd starts etcd, the store of Patroni's state.
func (c *Cluster) startEtcd() (err error) {
	if c.etcd, err = FreeAddr(); err != nil {
		return err
	}
	peerAddr, err := FreeAddr()
	if err != nil {
		return err
	}
	cmd, err := command("etcd", "--name", "etcd", "--data-dir", filepath.Join(c.dir, "etcd"),
		"--listen-client-urls", "http://"+c.etcd, "--advertise-client-urls", "http://"+c.etcd,
		"--listen-peer-urls", "http://"+peerAddr, "--initial-advertise-peer-urls", "http://"+peerAddr,
		"--initial-cluster", "etcd=http://"+peerAddr)
	if err != nil {
		return err
	}
	if c.done, err = launch(cmd, filepath.Join(c.dir, "etcd.log")); err == nil {
		c.cmd = cmd
	}
	return err
}

// launch starts a command with a minimal environment, because the environment of the
// tests may contain variables for Patroni and PostgreSQL.
func launch(cmd *exec.Cmd, log string) (done <-chan struct{}, err error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "HOME=/nonexistent"}
	return start(cmd)
}

// memberConfig is Patroni's configuration. Its times are the shortest that Patroni
// accepts: it replaces a primary that is missing for ttl seconds.
const memberConfig = `
scope: relcheck
name: {name}
restapi: {listen: '{api}', connect_address: '{api}'}
etcd3: {host: '{etcd}'}
watchdog: {mode: 'off'}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 5
    maximum_lag_on_failover: 1048576
    synchronous_mode: true
    synchronous_node_count: 1
    postgresql: {use_pg_rewind: true}
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}, data-checksums]
postgresql:
  listen: '{postgres}'
  connect_address: '{postgres}'
  bin_dir: '{bin}'
  data_dir: '{dir}/data'
  pgpass: '{dir}/pgpass'
  authentication:
    superuser: {username: {admin}, password: {password}}
    replication: {username: replicator, password: {password}}
  pg_hba:
  - host all all 127.0.0.1/32 scram-sha-256
  - host replication all 127.0.0.1/32 scram-sha-256
  parameters: {unix_socket_directories: ''}
`

func (c *Cluster) newMember(name string) (m *Member, err error) {
	m = &Member{Name: name, dir: filepath.Join(c.dir, name)}
	if m.Addr, err = FreeAddr(); err != nil {
		return nil, err
	}
	if m.api, err = FreeAddr(); err != nil {
		return nil, err
	}
	postgres, err := Program("postgres")
	if err == nil {
		postgres, err = filepath.EvalSymlinks(postgres) // the other programs are in the same directory
	}
	if err != nil {
		return nil, err
	}
	// The directory must belong to the user of Patroni.
	mkdir, err := command("mkdir", m.dir)
	if err == nil {
		err = mkdir.Run()
	}
	if err != nil {
		return nil, err
	}
	config := strings.NewReplacer("{name}", name, "{api}", m.api, "{etcd}", c.etcd, "{postgres}", m.Addr, "{dir}", m.dir,
		"{bin}", filepath.Dir(postgres), "{admin}", admin, "{password}", Password).Replace(memberConfig)
	return m, os.WriteFile(m.dir+".yml", []byte(config), 0o644)
}

func (m *Member) start() error {
	cmd, err := command("patroni", m.dir+".yml")
	if err != nil {
		return err
	}
	signalOnParentExit(cmd, syscall.SIGTERM) // Patroni then stops its PostgreSQL
	if m.done, err = launch(cmd, m.dir+".log"); err == nil {
		m.cmd = cmd
	}
	return err
}

// Kill kills Patroni and all processes of PostgreSQL of a member at once, like the
// failure of its machine.
func (c *Cluster) Kill(m *Member) {
	if m.cmd == nil {
		return
	}
	var roots []int
	select {
	case <-m.done: // Patroni has exited, and its process ID may belong to another process
	default:
		roots = append(roots, m.cmd.Process.Pid)
	}
	file := filepath.Join(m.dir, "data", "postmaster.pid")
	text, _ := os.ReadFile(file)
	line, _, _ := strings.Cut(string(text), "\n")
	if pid, err := strconv.Atoi(line); err == nil && isPostgres(pid) {
		roots = append(roots, pid)
	}
	killTree(roots...)
	<-m.done
	m.cmd = nil
	os.Remove(file) // after a restart of the machine, its process ID would not exist
}

// WaitPrimary waits until a member accepts writes. It becomes the leader some time
// before it accepts writes.
func (c *Cluster) WaitPrimary() error {
	return waitFor(func() error {
		_, _, err := c.standbys()
		return err
	})
}

// Restart starts a member that was killed, and waits until the cluster is healthy.
func (c *Cluster) Restart(m *Member) error {
	if err := m.start(); err != nil {
		return err
	}
	return waitFor(c.healthy)
}

// Remove stops the cluster and deletes its data.
func (c *Cluster) Remove() {
	for _, m := range c.members {
		c.Kill(m)
	}
	if c.cmd != nil {
		c.cmd.Process.Kill()
		<-c.done
	}
	os.RemoveAll(c.dir)
}

// DSN returns the URL of the cluster's database, with the addresses of all members.
func (c *Cluster) DSN() string { return dsn(User, User, c.addrs()...) }

func (c *Cluster) addrs() (all []string) {
	for _, m := range c.members {
		all = append(all, m.Addr)
	}
	return all
}

// Leader returns the member that is the primary.
func (c *Cluster) Leader() (*Member, error) {
	for _, m := range c.members {
		if m.cmd != nil && m.hasRole("leader") {
			return m, nil
		}
	}
	return nil, errors.New("the cluster has no leader")
}

// hasRole asks Patroni whether a member has a role.
func (m *Member) hasRole(role string) bool {
	client := http.Client{Timeout: 2 * time.Second}
	res, err := client.Get("http://" + m.api + "/" + role)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// databaseReplicated returns an error if a member does not have the database yet.
func (c *Cluster) databaseReplicated() error {
	for _, m := range c.members {
		if err := ping(dsn(User, User, m.Addr)); err != nil {
			return err
		}
	}
	return nil
}

// healthy returns an error if a member does not follow the primary, or if PostgreSQL and
// Patroni do not agree on the synchronous standby. Patroni fails over only to a standby
// that it knows to be synchronous.
func (c *Cluster) healthy() error {
	leader, err := c.Leader()
	if err != nil {
		return err
	}
	following, standby, err := c.standbys()
	switch {
	case err != nil:
		return err
	case following < len(c.members)-1:
		return fmt.Errorf("%s has %d standbys, want %d", leader.Name, following, len(c.members)-1)
	}
	for _, m := range c.members {
		if m.Name == standby && m.hasRole("sync") {
			return nil
		}
	}
	return fmt.Errorf("synchronous standby %q is unknown to Patroni", standby)
}

// standbys returns the number of standbys of the primary, and its synchronous standby.
func (c *Cluster) standbys() (following int, synchronous string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.primary())
	if err != nil {
		return 0, "", err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SELECT count(*), COALESCE(max(application_name) FILTER (WHERE sync_state = 'sync'), '')
		FROM pg_stat_replication WHERE state = 'streaming'`).Scan(&following, &synchronous)
	return following, synchronous, err
}

// primary returns the URL of the primary for Patroni's own user.
func (c *Cluster) primary() string {
	return dsn(admin, "postgres", c.addrs()...) + "?target_session_attrs=read-write"
}

// Logs returns the last lines of the logs of Patroni, PostgreSQL and etcd.
func (c *Cluster) Logs() string {
	var b strings.Builder
	names, _ := filepath.Glob(filepath.Join(c.dir, "*.log"))
	for _, name := range names {
		text, _ := os.ReadFile(name)
		all := strings.SplitAfter(string(text), "\n")
		fmt.Fprintf(&b, "%s:\n%s\n", filepath.Base(name), strings.Join(all[max(0, len(all)-40):], ""))
	}
	return b.String()
}
