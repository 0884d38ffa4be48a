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

// Cluster is three PostgreSQLs under Patroni, which makes one of them the
// primary and another one its synchronous standby, and agrees on that in etcd.
type Cluster struct {
	dir     string
	etcd    string    // HOST:PORT
	cmd     *exec.Cmd // etcd; nil before it runs
	done    <-chan struct{}
	members []*Member
}

// Member is a PostgreSQL of a cluster, and the Patroni that looks after it.
type Member struct {
	Name string
	Addr string // HOST:PORT of PostgreSQL
	api  string // HOST:PORT of Patroni
	dir  string
	cmd  *exec.Cmd // nil while it does not run
	done <-chan struct{}
}

const (
	// members is how many a cluster has: with one of them dead, the others are
	// still a primary and a synchronous standby.
	members = 3
	// settling is how long a cluster may take to become whole.
	settling = 90 * time.Second
	// admin is the user of Patroni itself.
	admin = "admin"
)

// NewCluster makes a cluster and waits until it is whole. The error wraps
// [exec.ErrNotFound] where something that it takes is not installed.
func NewCluster() (*Cluster, error) {
	if err := clusterPrograms(); err != nil {
		return nil, err
	}
	dir, err := Folder()
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

// clusterPrograms looks for what has to be installed.
func clusterPrograms() error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("a Patroni for %s: %w", runtime.GOOS, exec.ErrNotFound)
	}
	for _, p := range []struct{ program, from string }{{"patroni", "patroni"}, {"etcd", "etcd-server"}} {
		if _, err := exec.LookPath(p.program); err != nil {
			return fmt.Errorf("the Debian package %s: %w", p.from, err)
		}
	}
	for _, name := range []string{"postgres", "initdb", "pg_basebackup", "pg_rewind"} {
		if _, err := Program(name); err != nil {
			return fmt.Errorf("the Debian package postgresql: %w", err)
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
	if err := await(c.whole); err != nil {
		return err
	}
	if err := c.execute(
		fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", User, Password),
		fmt.Sprintf("CREATE DATABASE %s OWNER %[1]s", User)); err != nil {
		return err
	}
	return await(c.known)
}

// startEtcd starts what Patroni keeps its decisions in.
func (c *Cluster) startEtcd() (err error) {
	if c.etcd, err = FreeAddr(); err != nil {
		return err
	}
	peers, err := FreeAddr()
	if err != nil {
		return err
	}
	cmd, err := Unprivileged("etcd", "--name", "etcd", "--data-dir", filepath.Join(c.dir, "etcd"),
		"--listen-client-urls", "http://"+c.etcd, "--advertise-client-urls", "http://"+c.etcd,
		"--listen-peer-urls", "http://"+peers, "--initial-advertise-peer-urls", "http://"+peers,
		"--initial-cluster", "etcd=http://"+peers)
	if err != nil {
		return err
	}
	if c.done, err = launch(cmd, filepath.Join(c.dir, "etcd.log")); err == nil {
		c.cmd = cmd
	}
	return err
}

// launch starts a command with the variables it needs, and no other: some of
// those that the tests may have are about Patroni and PostgreSQL.
func launch(cmd *exec.Cmd, log string) (done <-chan struct{}, err error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "HOME=/nonexistent"}
	return Start(cmd)
}

// memberConfig is what Patroni is told. The times are the shortest that it
// takes: a primary that is gone for ttl seconds is replaced.
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
		postgres, err = filepath.EvalSymlinks(postgres) // the others are beside it
	}
	if err != nil {
		return nil, err
	}
	// It belongs to the user whom Patroni runs as.
	mkdir, err := Unprivileged("mkdir", m.dir)
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
	cmd, err := Unprivileged("patroni", m.dir+".yml")
	if err != nil {
		return err
	}
	endsWithTests(cmd, syscall.SIGTERM) // upon which it stops its PostgreSQL
	if m.done, err = launch(cmd, m.dir+".log"); err == nil {
		m.cmd = cmd
	}
	return err
}

// Kill ends a member at once, Patroni and all of PostgreSQL, as the end of its
// machine does.
func (c *Cluster) Kill(m *Member) {
	if m.cmd == nil {
		return
	}
	var roots []int
	select {
	case <-m.done: // by itself, and its number may be another one's
	default:
		roots = append(roots, m.cmd.Process.Pid)
	}
	file := filepath.Join(m.dir, "data", "postmaster.pid")
	text, _ := os.ReadFile(file)
	first, _, _ := strings.Cut(string(text), "\n")
	if pid, err := strconv.Atoi(first); err == nil && isPostgres(pid) {
		roots = append(roots, pid)
	}
	killTree(roots...)
	<-m.done
	m.cmd = nil
	os.Remove(file) // on a machine that starts again, this process is not there
}

// AwaitPrimary waits until a member takes writes. It is the leader for a moment
// before it does.
func (c *Cluster) AwaitPrimary() error {
	return await(func() error {
		_, _, err := c.standbys()
		return err
	})
}

// Restart starts a member that was killed, and waits until the cluster is whole
// again.
func (c *Cluster) Restart(m *Member) error {
	if err := m.start(); err != nil {
		return err
	}
	return await(c.whole)
}

// Remove ends the cluster for good.
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

// DSN is the URL of the cluster's database, with every member in it.
func (c *Cluster) DSN() string { return dsn(User, User, c.addrs()...) }

func (c *Cluster) addrs() (all []string) {
	for _, m := range c.members {
		all = append(all, m.Addr)
	}
	return all
}

func dsn(user, database string, addrs ...string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s", user, Password, strings.Join(addrs, ","), database)
}

// Leader returns the member that is the primary.
func (c *Cluster) Leader() (*Member, error) {
	for _, m := range c.members {
		if m.cmd != nil && m.is("leader") {
			return m, nil
		}
	}
	return nil, errors.New("the cluster has no leader")
}

// is asks Patroni for the role of a member.
func (m *Member) is(role string) bool {
	client := http.Client{Timeout: 2 * time.Second}
	res, err := client.Get("http://" + m.api + "/" + role)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// await waits until a check finds nothing wrong.
func await(check func() error) (err error) {
	for deadline := time.Now().Add(settling); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = check(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("the cluster does not become whole: %w", err)
}

// known tells which member does not know the new database yet: standbys hear of
// it a little later.
func (c *Cluster) known() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, m := range c.members {
		conn, err := pgx.Connect(ctx, dsn(User, User, m.Addr))
		if err != nil {
			return err
		}
		conn.Close(ctx)
	}
	return nil
}

// whole tells what is missing while a member does not follow the primary, or
// PostgreSQL and Patroni have not agreed on a synchronous standby: only there
// Patroni fails over to.
func (c *Cluster) whole() error {
	leader, err := c.Leader()
	if err != nil {
		return err
	}
	following, standby, err := c.standbys()
	switch {
	case err != nil:
		return err
	case following < len(c.members)-1:
		return fmt.Errorf("%s has %d standbys", leader.Name, following)
	}
	for _, m := range c.members {
		if m.Name == standby && m.is("sync") {
			return nil
		}
	}
	return fmt.Errorf("the synchronous standby is %q, and Patroni does not know", standby)
}

// standbys asks the primary how many follow it, and which one it waits for.
func (c *Cluster) standbys() (following int, synchronous string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := c.connect(ctx)
	if err != nil {
		return 0, "", err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SELECT count(*), COALESCE(max(application_name) FILTER (WHERE sync_state = 'sync'), '')
		FROM pg_stat_replication WHERE state = 'streaming'`).Scan(&following, &synchronous)
	return following, synchronous, err
}

// execute runs statements on the primary, each in a transaction of its own.
func (c *Cluster) execute(statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := c.connect(ctx)
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

func (c *Cluster) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, dsn(admin, "postgres", c.addrs()...)+"?target_session_attrs=read-write")
}

// Logs returns the end of what Patroni, PostgreSQL and etcd have written.
func (c *Cluster) Logs() string {
	const lines = 40
	var b strings.Builder
	names, _ := filepath.Glob(filepath.Join(c.dir, "*.log"))
	for _, name := range names {
		text, _ := os.ReadFile(name)
		all := strings.SplitAfter(string(text), "\n")
		fmt.Fprintf(&b, "%s:\n%s\n", filepath.Base(name), strings.Join(all[max(0, len(all)-lines):], ""))
	}
	return b.String()
}
