package systemtest

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var invented = flag.Int("invented", unlessRace(20_000, 8_000), "how many reports with invented versions, platforms and ids are sent")

const (
	// fleetSize is how many addresses a fleet reports from.
	fleetSize = 1200
	// fleetReleases is how many releases it runs, and used how many builds of these.
	fleetReleases = 12
	fleetBuilds   = fleetReleases * 6
	// unreleasedClients is how many addresses those report from who run builds of others.
	unreleasedClients = 40
)

// unreleasedVersions are versions that are no release, and still real.
var unreleasedVersions = []string{"0.21.0-istio", "0.71.0-dev"}

// reportTemplate is a request that is sent again and again, with other bytes in some places.
type reportTemplate struct{ request, id, version, platform []byte }

func newReportTemplate(version, platform string) reportTemplate {
	const id = "00000000-0000-4000-8000-000000000000"
	body := `{"id":"` + id + `","version":"` + version + `","heap_usage_bytes":"2664880"}`
	w := reportTemplate{request: fmt.Appendf(nil, "POST /v1/version HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Open Policy Agent/1.0.0 (%s)\r\n"+
		"Content-Length: %d\r\nContent-Type: application/json\r\n\r\n%s", platform, len(body), body)}
	place := func(text string) []byte {
		at := bytes.LastIndex(w.request, []byte(text))
		return w.request[at : at+len(text)]
	}
	w.id, w.version, w.platform = place(id), place(version), place(platform)
	return w
}

// reportCounts is what became of reports.
type reportCounts struct{ recorded, unrecorded atomic.Int64 }

// exchange sends n requests from an address, each after the answer to the previous
// one.
func (s *reportCounts) exchange(ctx context.Context, addr string, from net.IP, n int, next func() []byte) error {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for range n {
		if _, err := conn.Write(next()); err != nil {
			return err
		}
		status, recorded, err := readResponse(answers)
		switch {
		case err != nil:
			return err
		case status != http.StatusOK:
			return fmt.Errorf("an answer with status %d", status)
		case recorded:
			s.recorded.Add(1)
		default:
			s.unrecorded.Add(1)
		}
	}
	return nil
}

// sendFleet reports n times from each of its addresses, as it does each time. It has
// twelve releases in use on six platforms.
func (s *reportCounts) sendFleet(ctx context.Context, addr string, n int) error {
	platforms := []string{"linux, amd64", "linux, arm64", "darwin, amd64", "darwin, arm64", "windows, amd64", "windows, arm64"}
	return runConcurrently(16, fleetSize, func(i int) error {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		w := newReportTemplate(fmt.Sprintf("1.%d.0", i%fleetReleases), platforms[i/fleetReleases%len(platforms)])
		return s.exchange(ctx, addr, net.IPv4(127, 1, byte(i/200), byte(1+i%200)), n, func() []byte {
			encodeID(w.id, randomID(random))
			return w.request
		})
	})
}

// sendUnreleased sends n reports from each client that runs an unreleased build.
func (s *reportCounts) sendUnreleased(ctx context.Context, addr string, n int) error {
	return runConcurrently(16, unreleasedClients, func(i int) error {
		random := rand.New(rand.NewPCG(uint64(i), 3))
		w := newReportTemplate(unreleasedVersions[i%len(unreleasedVersions)], "linux, amd64")
		return s.exchange(ctx, addr, net.IPv4(127, 3, 3, byte(1+i)), n, func() []byte {
			encodeID(w.id, randomID(random))
			return w.request
		})
	})
}

// sendInvented sends n reports from one address, hardly two of them with the same version.
func (s *reportCounts) sendInvented(ctx context.Context, addr string, n int) error {
	const at = 16
	return runConcurrently(at, at, func(i int) error {
		random := rand.New(rand.NewPCG(uint64(i), 2))
		w := newReportTemplate("9.0000000000.0", "linux, amd64")
		return s.exchange(ctx, addr, net.IPv4(127, 2, 2, 2), n/at, func() []byte {
			encodeID(w.id, randomID(random))
			copy(w.version[2:], strconv.Itoa(1e9+random.IntN(9e8)))
			if random.IntN(2) == 0 {
				copy(w.platform, strconv.Itoa(10000+random.IntN(90000)))
			} else {
				copy(w.platform, "linux")
			}
			return w.request
		})
	})
}

// runConcurrently calls f with 0 to n-1, a number of them concurrently, and returns the first
// error.
func runConcurrently(many, n int, f func(int) error) error {
	var next atomic.Int64
	var all sync.WaitGroup
	errs := make(chan error, many)
	for range many {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := f(int(i)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs
}

// shares returns the share of each row of a table by the values of some columns, and
// the total number of reports.
func shares(t *testing.T, store, by string, columns ...string) (all map[string]float64, reports int64) {
	t.Helper()
	var table struct{ Rows []map[string]any }
	if err := json.Unmarshal([]byte(relcheck(t, "stats", "opa", "--db", store, "--by", by, "--json")), &table); err != nil {
		t.Fatal(err)
	}
	all = map[string]float64{}
	for _, row := range table.Rows {
		var name []string
		for _, c := range columns {
			name = append(name, fmt.Sprint(row[c]))
		}
		share, _ := row["share"].(float64)
		n, _ := row["reports"].(float64)
		all[strings.Join(name, "/")] = share
		reports += int64(n)
	}
	return all, reports
}

// inventedServer is a store that a fleet reports to, an attacker, or both.
type inventedServer struct {
	*process
	store, token string
	series       int // of metrics, before
}

// newInventedServer starts with a copy of a store, so that instance IDs have the same hash
// in all of them.
func newInventedServer(t *testing.T, empty []byte, rate int) *inventedServer {
	t.Helper()
	s := &inventedServer{store: filepath.Join(t.TempDir(), "relcheck.db")}
	if err := os.WriteFile(s.store, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	s.token = strings.TrimSpace(relcheck(t, "token", "add", "test", "--db", s.store))
	s.process = serve(t, s.store, "--source-rate", strconv.Itoa(rate))
	s.series = s.countSeries(t)
	return s
}

func (s *inventedServer) countSeries(t *testing.T) (n int) {
	t.Helper()
	for line := range strings.Lines(fetch(t, s.url+"/metrics", s.token)) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

// waitForFold waits until all recorded reports are folded and returns the shares of
// versions and platforms.
func (s *inventedServer) waitForFold(t *testing.T, recorded int64) (versions, platforms map[string]float64) {
	t.Helper()
	var n int64
	for deadline := time.Now().Add(2 * time.Minute); n != recorded; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d reports are summed up, and %d were recorded", n, recorded)
		}
		versions, n = shares(t, s.store, "version", "version")
	}
	platforms, _ = shares(t, s.store, "platform", "os", "arch")
	return versions, platforms
}

// checkBounds checks the size of the store, the memory and the metrics after an attack
// with unreleased versions. At most places of them may have a build of their own.
func (s *inventedServer) checkBounds(t *testing.T, recorded int64, places int) {
	t.Helper()
	series, memory := s.countSeries(t), resident(t, s.cmd.Process.Pid)
	s.kill()
	db, err := sql.Open("sqlite", "file:"+s.store)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows := func(query string) (n int) {
		if err := db.QueryRow(query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	own := rows("SELECT count(*) FROM build WHERE version LIKE '9.%'")
	builds, rollups := rows("SELECT count(*) FROM build"), rows("SELECT count(*) FROM rollup")
	t.Logf("%d builds, %d of them invented; %d rollups; %d series of metrics, %d before; %d MB", builds, own, rollups, series, s.series, memory>>20)
	const platforms = 2 // that the attack names, as they are counted
	if own != min(places, int(recorded)) || builds > fleetBuilds+len(unreleasedVersions)+places+platforms || rollups > 3*builds {
		t.Errorf("there should be %d builds of invented versions, a day and product, and one a platform for the rest", places)
	}
	if series > s.series+3*51 {
		t.Error("there should be 51 lines at most, in three windows each")
	}
	if !race && memory > 200<<20 {
		t.Error("memory grows with what is invented")
	}
}

// TestInventedVersions lets one client invent versions, platforms and instance IDs. It must
// not fill the store, the memory or the metrics. Within the rate limit, it must not
// change the shares of others or take away their builds.
func TestInventedVersions(t *testing.T) {
	// The fleet and the budget are as large as the attack is.
	rate := max(1, 600**invented/1_000_000)
	each := max(1, 5*rate/6)
	file := filepath.Join(t.TempDir(), "empty.db")
	for i := range fleetReleases {
		relcheck(t, "release", "add", "opa", fmt.Sprintf("v1.%d.0", i), "--db", file)
	}
	empty, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	var alone reportCounts
	control := newInventedServer(t, empty, rate)
	if err := alone.sendFleet(t.Context(), control.addr, each); err != nil {
		t.Fatal(err)
	}
	if err := alone.sendUnreleased(t.Context(), control.addr, each); err != nil {
		t.Fatal(err)
	}
	wantVersions, wantPlatforms := control.waitForFold(t, (fleetSize+unreleasedClients)*int64(each))
	control.kill()

	var fleet, attack reportCounts
	s := newInventedServer(t, empty, rate)
	begin := time.Now()
	attacking := make(chan error, 1)
	go func() { attacking <- attack.sendInvented(t.Context(), s.addr, *invented) }()
	if err := fleet.sendFleet(t.Context(), s.addr, each); err != nil {
		t.Error(err)
	}
	for attack.unrecorded.Load() == 0 && len(attacking) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if err := fleet.sendUnreleased(t.Context(), s.addr, each); err != nil {
		t.Error(err)
	}
	if err := <-attacking; err != nil {
		t.Error(err)
	}
	took := time.Since(begin)
	t.Logf("a fleet of %d, and %d reports of one source in %v, of which %d were recorded", fleet.recorded.Load(), *invented, took, attack.recorded.Load())
	if n := alone.unrecorded.Load() + fleet.unrecorded.Load(); n > 0 {
		t.Errorf("%d reports of the fleet were not recorded", n)
	}
	if most := float64(rate) * (1 + took.Minutes()); float64(attack.recorded.Load()) > most+1 {
		t.Errorf("more was recorded than %.0f", most)
	}
	versions, platforms := s.waitForFold(t, fleet.recorded.Load()+attack.recorded.Load())
	wantSameShares(t, wantVersions, versions)
	wantSameShares(t, wantPlatforms, platforms)
	s.checkBounds(t, attack.recorded.Load(), 20)

	// A budget that is larger than the number of places, and none.
	if counted := afterAttack(t, empty, 600, 1600, 20); counted != unreleasedClients {
		t.Errorf("%v of %d reports of builds of others are counted as such", counted, unreleasedClients)
	}
	if counted := afterAttack(t, empty, 0, *invented, 100); counted != 0 {
		t.Errorf("without a limit, no place should be left for others, and %v of their reports have one", counted)
	}
}

// afterAttack sends reports from one client, then reports of unreleased builds from
// others, and returns how many of the latter are counted under their versions.
func afterAttack(t *testing.T, empty []byte, rate, reports, places int) (counted float64) {
	t.Helper()
	var all reportCounts
	s := newInventedServer(t, empty, rate)
	if err := errors.Join(all.sendInvented(t.Context(), s.addr, reports), all.sendUnreleased(t.Context(), s.addr, 1)); err != nil {
		t.Fatal(err)
	}
	n := all.recorded.Load()
	versions, _ := s.waitForFold(t, n)
	if versions["other"] < 0.5 || rate == 0 && all.unrecorded.Load() > 0 {
		t.Errorf("most should be recorded and count as other: %d were not, and the shares are %v", all.unrecorded.Load(), versions)
	}
	s.checkBounds(t, n-unreleasedClients, places)
	for _, version := range unreleasedVersions {
		counted += versions["v"+version] * float64(n) // tables write all versions alike
	}
	return math.Round(counted)
}

// wantSameShares checks that no share changes by a tenth of a point or more.
func wantSameShares(t *testing.T, want, got map[string]float64) {
	t.Helper()
	most := 0.0
	for name, share := range want {
		d := math.Abs(got[name] - share)
		if most = max(most, d); d > 0.001 {
			t.Errorf("the share of %s was %.3f %% and is %.3f %%", name, 100*share, 100*got[name])
		}
	}
	t.Logf("of %d shares, the one that moved most did by %.3f points", len(want), 100*most)
	if len(want) < 6 {
		t.Errorf("there are only %d shares", len(want))
	}
}
