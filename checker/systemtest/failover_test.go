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

var failovers = flag.Bool("failover", false, "kill the primaries of a PostgreSQL cluster under load")

// TestFailover kills the primary of a cluster, more than once, while servers
// record reports into it. It runs only when asked to: make test-failover.
func TestFailover(t *testing.T) {
	if !*failovers || testing.Short() {
		t.Skip("takes minutes, and Patroni: run it with make test-failover")
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

// Whatever two servers answer with 200 outlives the primary that took it, and
// they go on by themselves.
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
		t.Logf("server %d: %d reports acknowledged, the others got %v, slowest answer %v",
			i, len(s.acknowledged), s.failures, s.slowest.Round(time.Millisecond))
		if lost := s.lost(seen); len(lost) > 0 {
			t.Errorf("server %d: %d reports of %d acknowledged are not there, such as %s", i, len(lost), len(s.acknowledged), lost[0])
		}
		if len(s.failures) != 1 || s.failures["503 Service Unavailable"] == 0 || s.slowest > maxResponseTime {
			t.Errorf("server %d: what is not recorded should be answered with status 503 within %v", i, maxResponseTime)
		}
	}
	for id, n := range seen {
		if n > 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
}

// killPrimary kills the primary and returns when reports are recorded again and
// the cluster is whole.
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
			t.Fatalf("round %d: server %d is ready and records nothing", round, i)
		}
		t.Logf("round %d: server %d recorded nothing for %v", round, i, senders[i].longestGap().Round(time.Millisecond))
	}
	begin := time.Now()
	if err := cluster.Restart(killed); err != nil {
		t.Fatal(err)
	}
	t.Logf("round %d: %s was back after %v", round, killed.Name, time.Since(begin).Round(time.Millisecond))
}

// The control: the same way of looking finds what a server loses that answers
// before it has recorded.
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
		t.Errorf("%d of %d reports acknowledged early were lost; it should be some", len(lost), len(s.acknowledged))
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

// sender sends reports to a server, whatever it answers, and remembers what
// became of them.
type sender struct {
	base   string
	client http.Client

	mu           sync.Mutex
	acknowledged map[uuid.UUID]bool
	failures       map[string]int // how many were not acknowledged, by what came instead
	slowest      time.Duration  // answer, whichever it is
	last         time.Time      // when a report was acknowledged
	gap          time.Duration  // the longest without one, since reset
}

func newSender(p *process) *sender {
	return &sender{
		base:         "http://" + p.addr,
		client:       http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: senderConns}},
		acknowledged: map[uuid.UUID]bool{}, failures: map[string]int{}, last: time.Now(),
	}
}

const (
	// senderConns is how many each sender sends over.
	senderConns = 16
	// maxResponseTime is for the slowest answer. A server takes ten seconds to give up.
	maxResponseTime = 15 * time.Second
	// sendPause is between an answer and the next report. It leaves some of the
	// machine to the cluster.
	sendPause = 5 * time.Millisecond
)

// send lets senders send until stop is called.
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

// report sends one report and waits for its answer, though everything may end
// meanwhile: what was not answered says nothing.
func (s *sender) report() {
	id := uuid.New()
	body := fmt.Sprintf(`{"id":%q,"version":"0.70.0","heap_usage_bytes":"2664880"}`, id)
	begin := time.Now()
	status := "no answer"
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

// reset begins to look for the longest time without a recorded report.
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

// acknowledgedCounts is how many reports of each sender were acknowledged.
func acknowledgedCounts(senders []*sender) (n []int) {
	for _, s := range senders {
		s.mu.Lock()
		n = append(n, len(s.acknowledged))
		s.mu.Unlock()
	}
	return n
}

// lost lists what was acknowledged and is not among what was exported.
func (s *sender) lost(seen map[uuid.UUID]int) (ids []uuid.UUID) {
	for id := range s.acknowledged {
		if seen[id] == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// waitUntilClosed waits until the server says with a status whether it is ready.
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
	t.Fatalf("%s/readyz does not answer %d within %v", s.base, status, within)
}
