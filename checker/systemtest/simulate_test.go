package systemtest

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/simulate"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

var largeFleet = flag.Bool("fleet", false, "test with a fleet of 100,000 instances and 5,000 reports a second")

// simulateResult is the output of relcheck simulate --json.
type simulateResult struct {
	Requests, Status, Reports map[string]int64
	LatencyMS                 map[string]float64 `json:"latency_ms"`
	Versions, Platforms       []countRow
}

// countRow is a row of that output, and of relcheck stats --json.
type countRow struct {
	Version, OS, Arch  string
	Instances, Reports int64
}

func simulateJSON(t *testing.T, args ...string) (s simulateResult) {
	t.Helper()
	if err := json.Unmarshal([]byte(relcheck(t, append([]string{"simulate", "--json"}, args...)...)), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func tableOf(t *testing.T, store, name string) []countRow {
	t.Helper()
	var table struct{ Rows []countRow }
	if err := json.Unmarshal([]byte(relcheck(t, "stats", "opa", "--db", store, "--days", "2", "--by", name, "--json")), &table); err != nil {
		t.Fatal(err)
	}
	return table.Rows
}

// releasedStore creates a store with the releases of a simulated fleet.
func releasedStore(t *testing.T) (file string, published map[string]bool) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "relcheck.db")
	s, err := db.Open(context.Background(), file, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	releases := simulate.Releases(5, rollup.DayOf(time.Now()))
	_, err = s.ImportReleases(context.Background(), "opa", catalog.ListOf("test", releases...), true)
	if err != nil {
		t.Fatal(err)
	}
	published = map[string]bool{}
	for _, r := range releases {
		published[r.Tag] = true
	}
	return file, published
}

// sums adds up rows that have the same name.
func sums(rows []countRow, name func(countRow) string) map[string]countRow {
	byName := map[string]countRow{}
	for _, row := range rows {
		sum := byName[name(row)]
		sum.Instances += row.Instances
		sum.Reports += row.Reports
		byName[name(row)] = sum
	}
	return byName
}

// wantSameCounts compares the statistics with the reports sent. The numbers of reports
// must be equal. The numbers of instances must be equal, or within four standard errors
// if they are estimated.
func wantSameCounts(t *testing.T, sent, shown, estimated map[string]countRow) {
	t.Helper()
	for name, want := range sent {
		got, off := shown[name], 4*rollup.InstancesError*float64(estimated[name].Instances)
		if got.Reports != want.Reports || math.Abs(float64(got.Instances-want.Instances)) > off {
			t.Errorf("%s: got %d instances in %d reports, want %d ± %.0f in %d", name, got.Instances, got.Reports, want.Instances, off, want.Reports)
		}
	}
	if len(sent) != len(shown) {
		t.Errorf("got statistics %v, want %v", shown, sent)
	}
}

// estimates returns the builds with too many instances to be counted exactly.
func estimates(t *testing.T, store string) []countRow {
	t.Helper()
	const many = 4096 * (1 - 6*rollup.InstancesError)
	return slices.DeleteFunc(tableOf(t, store, "platform_versions"), func(c countRow) bool { return float64(c.Instances) < many })
}

// TestSimulatedFleetIsCounted compares the statistics with what a simulated fleet has
// sent, by version and by platform.
func TestSimulatedFleetIsCounted(t *testing.T) {
	t.Setenv("RELCHECK_SOURCE_RATE", "0")
	size := []string{"--instances", "2000", "--rate", "1000", "--duration", "3s"}
	if *largeFleet {
		size = []string{"--instances", "100000", "--rate", "5000", "--duration", "30s"}
	}
	file, published := releasedStore(t)
	served := serve(t, file)
	s := simulateJSON(t, append(size, "--url", "http://"+served.addr, "--db", file, "--seed", "5")...)
	if s.Requests["sent"] < 3000 || s.Requests["succeeded"] != s.Requests["sent"] || s.Requests["unsent"] > 0 || s.Reports["recorded"] != s.Requests["sent"] {
		t.Fatalf("got result %+v, want at least 3,000 requests, all of them recorded", s)
	}
	all := func(countRow) string { return "all" }
	version := func(c countRow) string { return c.Version }
	platform := func(c countRow) string { return c.OS + "/" + c.Arch }
	estimated := estimates(t, file)
	sent, platforms := sums(s.Versions, version), sums(s.Platforms, platform)
	wantSameCounts(t, sent, sums(tableOf(t, file, "versions"), version), sums(estimated, version))
	wantSameCounts(t, platforms, sums(tableOf(t, file, "platforms"), platform), sums(estimated, platform))
	total := sums(s.Versions, all)["all"]
	if total.Instances != s.Reports["instances"] || total.Reports != s.Reports["recorded"] || sums(s.Platforms, all)["all"] != total {
		t.Errorf("got totals of %+v, want %d instances in %d reports", total, s.Reports["instances"], s.Reports["recorded"])
	}
	unpublished := maps.Clone(sent)
	maps.DeleteFunc(unpublished, func(version string, _ countRow) bool { return published[version] })
	if len(sent) < 10 || len(platforms) < 5 || len(unpublished) < 5 || total.Instances < 1000 || total.Instances == total.Reports || *largeFleet != (len(estimated) > 0) {
		t.Errorf("got a fleet with versions %v, platforms %v and estimates of %v, want more variety", sent, platforms, estimated)
	}
	t.Logf("%d requests, %d instances, %d versions, %d of them unpublished, %d builds of many instances, latency in ms %v",
		s.Requests["sent"], total.Instances, len(sent), len(unpublished), len(estimated), s.LatencyMS)
}

// TestReplayIsCounted checks that replayed requests of real clients are recorded, or
// counted as checks, for each instance.
func TestReplayIsCounted(t *testing.T) {
	t.Setenv("RELCHECK_SOURCE_RATE", "0")
	file, _ := releasedStore(t)
	served := serve(t, file)
	captures, err := filepath.Glob("../server/testdata/captures/*.http")
	if err != nil || len(captures) != 5 {
		t.Fatalf("got captures %v (error %v), want 5", captures, err)
	}
	args := append([]string{"--url", "http://" + served.addr, "--rate", "100", "--duration", "1s", "--instances", "50", "--replay"}, captures...)
	s := simulateJSON(t, args...)
	if s.Requests["succeeded"] != 100 || s.Reports["recorded"] != 60 || s.Reports["instances"] != 30 || s.Reports["checks"] != 40 {
		t.Errorf("two rounds of 50 instances: got %+v, want 100 requests, 60 reports of 30 instances and 40 checks", s)
	}
	version := func(c countRow) string { return c.Version }
	wantSameCounts(t, sums(s.Versions, version), sums(tableOf(t, file, "versions"), version), nil)
	if seen := exportedIDs(t, file); len(seen) != 30 {
		t.Errorf("got %d recorded instances, want 30", len(seen))
	}
}

// TestSimulateInterrupted checks that a signal ends a simulation soon, with the result
// until then.
func TestSimulateInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals")
	}
	requested := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case requested <- struct{}{}:
		default:
		}
	}))
	defer s.Close()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd := exec.Command(os.Args[0], "simulate", "--url", s.URL, "--duration", "1h", "--rate", "200", "--json")
		cmd.Env = environment("relcheck")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-requested:
		case <-time.After(waitTimeout):
			cmd.Process.Kill()
			t.Fatalf("got no request after %v", waitTimeout)
		}
		begin := time.Now()
		cmd.Process.Signal(signal)
		err := cmd.Wait()
		var got simulateResult
		if json.Unmarshal(out.Bytes(), &got) != nil || err != nil || errs.Len() > 0 {
			t.Fatalf("%v: got error %v, want exit status 0 and a result\n%s%s", signal, err, &out, &errs)
		}
		if d := time.Since(begin); d > 10*time.Second {
			t.Errorf("%v: got the exit after %v, want up to 10 s", signal, d)
		}
		if got.Requests["sent"] == 0 || got.Requests["failed"] > 0 {
			t.Errorf("%v: got result %+v, want some requests and no failures", signal, got)
		}
	}
}

// TestSimulateErrors checks that errors of the service are printed with a
// hint.
func TestSimulateErrors(t *testing.T) {
	var handler atomic.Pointer[http.HandlerFunc]
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if handler := handler.Load(); handler != nil {
			(*handler)(w, r)
		}
	}))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"simulate", "--url", s.URL, "--duration", "200ms"}
	if runtime.GOOS == "linux" {
		if out, status := relcheckStatus(t, args...); status != 1 || !strings.Contains(out, "certificate") {
			t.Errorf("unknown certificate: got exit status %d, want 1 and the reason\n%s", status, out)
		}
		t.Setenv("SSL_CERT_FILE", ca)
	}
	for what, want := range map[string]struct {
		handler http.HandlerFunc
		status  int
		output  []string
	}{
		"recorded": {func(http.ResponseWriter, *http.Request) {}, 0, []string{"answered 2xx", "v1.5.1", "linux/amd64", "p99"}},
		"rate limited": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Relcheck-Recorded", "no") }, 0,
			[]string{"reports not recorded", "relcheck serve --source-rate 0"}},
		"refused": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "go\x1b[2J\naway", 404) }, 1,
			[]string{"answered 4xx", "20 of 20 requests failed; the first: status 404: go [2J away"}},
	} {
		handler.Store(&want.handler)
		out, status := relcheckStatus(t, args...)
		if status != want.status {
			t.Errorf("%s: got exit status %d, want %d\n%s", what, status, want.status, out)
		}
		for _, text := range want.output {
			if !strings.Contains(out, text) {
				t.Errorf("%s: got no %q in\n%s", what, text, out)
			}
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("%s: got %q, want no control characters", what, out)
		}
	}
}

// TestSimulatedPastIsRefused checks that simulate --days rejects a store that is in
// use or has reports.
func TestSimulatedPastIsRefused(t *testing.T) {
	past := func(args ...string) (string, int) {
		return relcheckStatus(t, append([]string{"simulate", "--days", "3", "--instances", "50"}, args...)...)
	}
	real := filepath.Join(t.TempDir(), "real.db")
	served := serve(t, real)
	before := relcheck(t, "release", "list", "opa", "--db", real)
	if out, status := past("--db", real); status != 1 || !strings.Contains(out, "in use by process") {
		t.Errorf("with a running server: got exit status %d, want 1\n%s", status, out)
	}
	if after := relcheck(t, "release", "list", "opa", "--db", real); after != before {
		t.Errorf("with a running server: got releases\n%s\nwant\n%s", after, before)
	}
	id := "08c1d850-6065-478a-b9b5-a8f9f464ad33"
	res, err := http.Post("http://"+served.addr+"/p/relcheck/v1/version", "application/json", strings.NewReader(fmt.Sprintf(`{"id":%q,"version":"1.0.0"}`, id)))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, res)
	served.kill()
	if out, status := past("--db", real); status != 1 || !strings.Contains(out, "already has reports") || !strings.Contains(out, "--add") {
		t.Errorf("store with reports: got exit status %d, want 1 and a hint at --add\n%s", status, out)
	}
	if n := len(exportedIDs(t, real)); n > 0 {
		t.Errorf("store with reports: got %d simulated instances, want 0", n)
	}
	if out, status := past("--db", real, "--add"); status != 0 || len(exportedIDs(t, real)) < 30 {
		t.Errorf("with --add: got exit status %d, want 0 and at least 30 instances\n%s", status, out)
	}
	if text := relcheck(t, "stats", "relcheck", "--db", real, "--csv"); !strings.Contains(text, "range,") || !strings.Contains(text, ",1,,,1,") {
		t.Errorf("got statistics without the real report:\n%s", text)
	}
}

// TestSimulatedPastInPostgres checks simulate --days with PostgreSQL.
func TestSimulatedPastInPostgres(t *testing.T) {
	name := database(t)
	relcheck(t, "simulate", "--days", "3", "--instances", "50", "--db", name)
	if text := relcheck(t, "stats", "opa", "--db", name, "--days", "3"); !strings.Contains(text, "latest release v1.5.1") {
		t.Errorf("got no latest release v1.5.1 in\n%s", text)
	}
	if out, status := relcheckStatus(t, "simulate", "--days", "3", "--db", name); status != 1 || !strings.Contains(out, "already has reports") {
		t.Errorf("second time: got exit status %d, want 1\n%s", status, out)
	}
}
