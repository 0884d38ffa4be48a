package systemtest

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/db/pgtest"
)

var failovers = flag.Bool("failover", false, "kill primaries of a PostgreSQL cluster under load")

// TestFailover kills the primary of a cluster repeatedly while servers record reports
// into it. It runs only with make test-failover.
func TestFailover(t *testing.T) {
	if !*failovers || testing.Short() {
		t.Skip("needs Patroni and takes minutes: run it with make test-failover")
	}
	cluster, err := pgtest.NewCluster()
	pgtest.RequireInstalled(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(cluster.Logs())
		}
		cluster.Remove()
	})
	t.Setenv("PGPASSWORD", pgtest.Password)
	name := pgtest.WithoutPassword(cluster.DSN())
	t.Run("recorded", func(t *testing.T) { testFailover(t, cluster, name) })
	t.Run("control", func(t *testing.T) { testFailoverControl(t, cluster, name) })
}

// testFailover checks that reports that two servers answered with 200 are kept after the
// primary was killed, and that the servers recover by themselves.
func testFailover(t *testing.T, cluster *pgtest.Cluster, name string) {
	var senders []*sender
	for range 2 {
		senders = append(senders, newSender(serve(t, name)))
	}
	stop := send(t, senders)
	for round := range 2 {
		killPrimary(t, cluster, senders, round)
	}
	stop()
	seen := exportedIDs(t, name)
	for i, s := range senders {
		t.Logf("server %d: %d reports acknowledged, other responses %v, slowest response %v",
			i, len(s.acknowledged), s.failures, s.slowest.Round(time.Millisecond))
		if lost := s.lost(seen); len(lost) > 0 {
			t.Errorf("server %d: got %d of %d acknowledged reports missing, want 0, for example %s", i, len(lost), len(s.acknowledged), lost[0])
		}
		if len(s.failures) != 1 || s.failures["503 Service Unavailable"] == 0 || s.slowest > maxResponseTime {
			t.Errorf("server %d: got responses %v, the slowest after %v, want only 200 and 503 within %v", i, s.failures, s.slowest, maxResponseTime)
		}
	}
	for id, n := range seen {
		if n > 1 {
			t.Errorf("instance ID %s: got %d reports, want 1", id, n)
		}
	}
}

// killPrimary kills the primary, and returns when reports are recorded again and the
// cluster is complete.
func killPrimary(t *testing.T, cluster *pgtest.Cluster, senders []*sender, round int) {
	time.Sleep(3 * time.Second)
	for _, s := range senders {
		s.reset()
	}
	killed := killLeader(t, cluster)
	for _, s := range senders {
		s.await(t, http.StatusServiceUnavailable, 30*time.Second)
	}
	for _, s := range senders {
		s.await(t, http.StatusOK, 90*time.Second)
	}
	before := acknowledgedCounts(senders)
	time.Sleep(3 * time.Second)
	for i, n := range acknowledgedCounts(senders) {
		if n == before[i] {
			t.Fatalf("round %d: server %d is ready, but got no reports recorded in 3 s", round, i)
		}
		t.Logf("round %d: server %d recorded nothing for %v", round, i, senders[i].longestGap().Round(time.Millisecond))
	}
	begin := time.Now()
	if err := cluster.Restart(killed); err != nil {
		t.Fatal(err)
	}
	t.Logf("round %d: %s was back after %v", round, killed.Name, time.Since(begin).Round(time.Millisecond))
}

// testFailoverControl checks that the same method finds the loss of a server that answers
// before it records.
func testFailoverControl(t *testing.T, cluster *pgtest.Cluster, name string) {
	s := newSender(start(t, "early", name))
	stop := send(t, []*sender{s})
	time.Sleep(2 * time.Second)
	killLeader(t, cluster)
	time.Sleep(2 * time.Second)
	stop()
	if err := cluster.WaitPrimary(); err != nil {
		t.Fatal(err)
	}
	lost := s.lost(exportedIDs(t, name))
	t.Logf("%d reports acknowledged early, %d of them lost", len(s.acknowledged), len(lost))
	if len(lost) == 0 || len(lost) == len(s.acknowledged) {
		t.Errorf("got %d of %d reports acknowledged early lost, want some, but not all", len(lost), len(s.acknowledged))
	}
}

func killLeader(t *testing.T, cluster *pgtest.Cluster) *pgtest.Member {
	t.Helper()
	leader, err := cluster.Leader()
	if err != nil {
		t.Fatal(err)
	}
	cluster.Kill(leader)
	t.Logf("killed %s", leader.Name)
	return leader
}

// sender sends reports to a server and collects the responses.
type sender struct {
	base   string
	client http.Client

	mu           sync.Mutex
	acknowledged map[uuid.UUID]bool
	failures     map[string]int // number of reports not acknowledged, by status
	slowest      time.Duration  // slowest response of any status
	last         time.Time      // time of the last acknowledgment
	gap          time.Duration  // longest time without an acknowledgment since reset
}

func newSender(p *process) *sender {
	return &sender{
		base:         "http://" + p.addr,
		client:       http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: senderConns}},
		acknowledged: map[uuid.UUID]bool{}, failures: map[string]int{}, last: time.Now(),
	}
}

const (
	// senderConns is the number of connections of each sender.
	senderConns = 16
	// maxResponseTime limits the slowest response. A server gives up after ten seconds.
	maxResponseTime = 15 * time.Second
	// sendPause is the time between a response and the next report. It leaves CPU time to
	// the cluster.
	sendPause = 5 * time.Millisecond
)

// send runs senders until stop is called.
func send(t *testing.T, senders []*sender) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, s := range senders {
		for range senderConns {
			running.Go(func() {
				for ctx.Err() == nil {
					s.report()
					time.Sleep(sendPause)
				}
			})
		}
	}
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// report sends one report and records the status of its response, or that there was none.
func (s *sender) report() {
	id := uuid.New()
	body := fmt.Sprintf(`{"id":%q,"version":"0.70.0","heap_usage_bytes":"2664880"}`, id)
	begin := time.Now()
	status := "no response"
	res, err := s.client.Post(s.base+"/v1/version", "application/json", strings.NewReader(body))
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	if err == nil {
		status = res.Status
	}
	s.record(id, status, begin)
}

func (s *sender) record(id uuid.UUID, status string, begin time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.slowest = max(s.slowest, now.Sub(begin))
	if status != "200 OK" {
		s.failures[status]++
		return
	}
	s.acknowledged[id] = true
	s.gap = max(s.gap, now.Sub(s.last))
	s.last = now
}

// reset restarts the measurement of the longest time without an acknowledgment.
func (s *sender) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.gap = time.Now(), 0
}

func (s *sender) longestGap() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gap
}

// acknowledgedCounts returns the number of acknowledged reports of each sender.
func acknowledgedCounts(senders []*sender) (n []int) {
	for _, s := range senders {
		s.mu.Lock()
		n = append(n, len(s.acknowledged))
		s.mu.Unlock()
	}
	return n
}

// lost returns the acknowledged instance IDs that are not in an export.
func (s *sender) lost(exported map[uuid.UUID]int) (ids []uuid.UUID) {
	for id := range s.acknowledged {
		if exported[id] == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// await waits until /readyz has a status.
func (s *sender) await(t *testing.T, status int, within time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		res, err := s.client.Get(s.base + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == status {
			return
		}
	}
	t.Fatalf("GET %s/readyz: got another status than %d for %v", s.base, status, within)
}
