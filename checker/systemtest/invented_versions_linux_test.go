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

var invented = flag.Int("invented", unlessRace(20_000, 8_000), "number of reports with invented versions, platforms and instance IDs")

const (
	// fleetSize is the number of client addresses of the fleet.
	fleetSize = 1200
	// fleetReleases is the number of releases that the fleet runs, and fleetBuilds that
	// of their builds.
	fleetReleases = 12
	fleetBuilds   = fleetReleases * 6
	// unreleasedClients is the number of addresses whose clients run unreleased builds.
	unreleasedClients = 40
)

// unreleasedVersions are versions of real builds that are not releases.
var unreleasedVersions = []string{"0.21.0-istio", "0.71.0-dev"}

// reportTemplate is a request that is sent repeatedly with other bytes in some maxVersions.
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

// reportCounts counts reports by their result.
type reportCounts struct{ recorded, unrecorded atomic.Int64 }

// exchange sends n requests from an address, each after the response to the one before.
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
			return fmt.Errorf("got status %d, want 200", status)
		case recorded:
			s.recorded.Add(1)
		default:
			s.unrecorded.Add(1)
		}
	}
	return nil
}

// sendFleet sends n reports from each address of the fleet, which runs twelve releases on
// six platforms. The reports are the same each time, except for their instance IDs.
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

// sendInvented sends n reports from one address, almost all with different versions.
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

// runConcurrently calls f with 0 to n-1, a number of calls at a time, and returns the
// first error.
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

// inventedServer is a server with reports of a fleet, of an attacker, or of both.
type inventedServer struct {
	*process
	store, token string
	series       int // number of metrics before the attack
}

// newInventedServer starts a server on a copy of a store, so that instance IDs have the
// same hash in all servers.
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
			t.Fatalf("got %d of %d recorded reports folded after 2 min", n, recorded)
		}
		versions, n = shares(t, s.store, "versions", "version")
	}
	platforms, _ = shares(t, s.store, "platforms", "os", "arch")
	return versions, platforms
}

// checkBounds checks the size of the store, the memory and the metrics after an attack
// with unreleased versions. At most a number of them may be counted under their own
// versions.
func (s *inventedServer) checkBounds(t *testing.T, recorded int64, maxVersions int) {
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
	inventedBuilds := rows("SELECT count(*) FROM build WHERE version LIKE '9.%'")
	builds, rollups := rows("SELECT count(*) FROM build"), rows("SELECT count(*) FROM rollup")
	t.Logf("%d builds, %d of them invented; %d rollups; %d series of metrics, %d before; %d MB", builds, inventedBuilds, rollups, series, s.series, memory>>20)
	const platforms = 2 // platforms in the attack, as they are counted
	if inventedBuilds != min(maxVersions, int(recorded)) || builds > fleetBuilds+len(unreleasedVersions)+maxVersions+platforms || rollups > 3*builds {
		t.Errorf("got %d builds, %d of invented versions, and %d rollups; want %d of invented versions, and the others in one build per platform", builds, inventedBuilds, rollups, maxVersions)
	}
	if series > s.series+3*51 {
		t.Errorf("got %d more metrics, want up to %d: 51 lines in three windows each", series-s.series, 3*51)
	}
	if !race && memory > 200<<20 {
		t.Errorf("got %d MB of memory, want up to 200", memory>>20)
	}
}

// TestInventedVersions sends invented versions, platforms and instance IDs from one
// client. They must not fill the store, the memory or the metrics. Within the rate limit,
// they must not change the shares of other clients, or the number of builds counted for
// them.
func TestInventedVersions(t *testing.T) {
	// The size of the fleet and the rate limit are in proportion to the attack.
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
	t.Logf("%d reports of the fleet recorded, %d of one client sent in %v, %d of them recorded", fleet.recorded.Load(), *invented, took, attack.recorded.Load())
	if n := alone.unrecorded.Load() + fleet.unrecorded.Load(); n > 0 {
		t.Errorf("got %d reports of the fleet not recorded, want 0", n)
	}
	if most := float64(rate) * (1 + took.Minutes()); float64(attack.recorded.Load()) > most+1 {
		t.Errorf("got %d recorded reports of the attack, want up to %.0f", attack.recorded.Load(), most)
	}
	versions, platforms := s.waitForFold(t, fleet.recorded.Load()+attack.recorded.Load())
	wantSameShares(t, wantVersions, versions)
	wantSameShares(t, wantPlatforms, platforms)
	s.checkBounds(t, attack.recorded.Load(), 20)

	// With a rate limit above the limit of versions, and without a rate limit.
	if counted := afterAttack(t, empty, 600, 1600, 20); counted != unreleasedClients {
		t.Errorf("got %v reports of other unreleased builds under their versions, want %d", counted, unreleasedClients)
	}
	if counted := afterAttack(t, empty, 0, *invented, 100); counted != 0 {
		t.Errorf("without a rate limit: got %v reports of other unreleased builds under their versions, want 0", counted)
	}
}

// afterAttack sends reports from one client, then reports of unreleased builds from
// others, and returns how many of the latter are counted under their versions.
func afterAttack(t *testing.T, empty []byte, rate, reports, maxVersions int) (counted float64) {
	t.Helper()
	var counts reportCounts
	s := newInventedServer(t, empty, rate)
	if err := errors.Join(counts.sendInvented(t.Context(), s.addr, reports), counts.sendUnreleased(t.Context(), s.addr, 1)); err != nil {
		t.Fatal(err)
	}
	n := counts.recorded.Load()
	versions, _ := s.waitForFold(t, n)
	if versions["other"] < 0.5 || rate == 0 && counts.unrecorded.Load() > 0 {
		t.Errorf("got %d reports not recorded, and shares %v, want most counted as other", counts.unrecorded.Load(), versions)
	}
	s.checkBounds(t, n-unreleasedClients, maxVersions)
	for _, version := range unreleasedVersions {
		counted += versions["v"+version] * float64(n) // tables show all versions with a v
	}
	return math.Round(counted)
}

// wantSameShares checks that no share differs by more than a tenth of a percentage point.
func wantSameShares(t *testing.T, want, got map[string]float64) {
	t.Helper()
	most := 0.0
	for name, share := range want {
		d := math.Abs(got[name] - share)
		if most = max(most, d); d > 0.001 {
			t.Errorf("share of %s: got %.3f %%, want %.3f %%", name, 100*got[name], 100*share)
		}
	}
	t.Logf("%d shares, largest difference %.3f percentage points", len(want), 100*most)
	if len(want) < 6 {
		t.Errorf("got %d shares, want at least 6", len(want))
	}
}
