package systemtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// opaRelease is a release of Open Policy Agent with its own way to check for releases.
type opaRelease struct {
	version  string
	variable string // environment variable with the URL of the service
	reports  bool   // sends reports; otherwise, checks
}

var opaReleases = []opaRelease{
	{"v0.70.0", "OPA_TELEMETRY_SERVICE_URL", true},
	{"v1.22.2", "OPA_VERSION_CHECK_SERVICE_URL", false},
}

// binary returns the path of the program. make opa builds it.
func (g opaRelease) binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../.cache/opa", g.version, "opa"))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		missing(t, "opa "+g.version+"; make opa builds it")
	}
	return path
}

// TestOPA runs real Open Policy Agents with a real server, at its root and below /p/opa.
func TestOPA(t *testing.T) {
	for _, g := range opaReleases {
		for _, path := range []string{"", "/p/opa", "/p/opa/"} {
			t.Run(g.version+path, func(t *testing.T) { testOPA(t, g, g.binary(t), path) })
		}
	}
}

func testOPA(t *testing.T, g opaRelease, opa, path string) {
	file := filepath.Join(t.TempDir(), "relcheck.db")
	served := serve(t, file)
	env := g.variable + "=http://" + served.addr + path
	v := strings.TrimPrefix(g.version, "v")

	// Without a release, no release may be shown.
	if out := opaVersion(t, opa, env); strings.Contains(out, "Latest Upstream Version") {
		t.Errorf("without a release: opa version --check: got\n%s", out)
	}
	if log := opaRun(t, opa, env, "is up to date", "Unable to"); log["level"] != "debug" {
		t.Errorf("without a release: opa run: got log %v, want level debug", log)
	}

	relcheck(t, "release", "add", "opa", g.version, "--db", file)
	awaitRelease(t, served, g.version)
	if log := opaRun(t, opa, env, "is up to date", "is out of date"); log["level"] != "debug" || log["current_version"] != v {
		t.Errorf("latest release: opa run: got log %v, want level debug and version %s", log, v)
	}

	relcheck(t, "release", "add", "opa", "v9.0.0", "--db", file)
	awaitRelease(t, served, "v9.0.0")
	const download = "https://openpolicyagent.org/downloads/v9.0.0/opa_linux_amd64"
	const notes = "https://github.com/open-policy-agent/opa/releases/tag/v9.0.0"
	want := "Latest Upstream Version: 9.0.0\nDownload: " + download + "\nRelease Notes: " + notes + "\n"
	if out := opaVersion(t, opa, env); !strings.HasSuffix(out, want) {
		t.Errorf("opa version --check: got\n%s\nwant it to end in\n%s", out, want)
	}
	log := opaRun(t, opa, env, "is out of date", "is up to date")
	if log["level"] != "info" || log["latest_version"] != "9.0.0" || log["current_version"] != v || log["download_opa"] != download || log["release_notes"] != notes {
		t.Errorf("outdated: opa run: got log %v, want level info, the versions and the links", log)
	}
	checkRecorded(t, g, file)
}

// TestStatsOfOPA checks that the statistics show a fleet of real Open Policy Agents: the
// number of processes by version, and the heap size that they reported.
func TestStatsOfOPA(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relcheck.db")
	served := serve(t, file)
	relcheck(t, "release", "add", "opa", "v9.0.0", "--db", file)
	awaitRelease(t, served, "v9.0.0")
	const each = 3
	var heaps []float64
	for _, g := range opaReleases {
		for range each {
			opaRun(t, g.binary(t), g.variable+"=http://"+served.addr, "is out of date")
		}
	}
	for line := range strings.Lines(relcheck(t, "export", "opa", "--db", file)) {
		var r struct {
			Heap float64 `json:"heap_usage_bytes"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		heaps = append(heaps, r.Heap)
	}
	var shown struct {
		Rows []struct {
			Version            string
			Instances, Reports int
			Behind             int
			P95                float64
		}
	}
	if err := json.Unmarshal([]byte(relcheck(t, "stats", "opa", "--by", "versions", "--json", "--db", file)), &shown); err != nil {
		t.Fatal(err)
	}
	slices.Sort(heaps)
	want := opaReleases[0].version // the later release sends no reports
	if len(shown.Rows) != 1 || shown.Rows[0].Version != want || shown.Rows[0].Instances != each || shown.Rows[0].Reports != each || shown.Rows[0].Behind != 1 {
		t.Fatalf("got statistics %+v, want %d instances of %s", shown.Rows, each, want)
	}
	if p95, least := shown.Rows[0].P95, heaps[len(heaps)-2]; p95 < least*0.99 || p95 > heaps[len(heaps)-1]*1.01 {
		t.Errorf("got 95th percentile %.0f, want it between the two largest of %.0f", p95, heaps)
	}
	if out := relcheck(t, "stats", "opa", "--db", file); !strings.Contains(out, want) || !strings.Contains(out, "linux/"+runtime.GOARCH) {
		t.Errorf("relcheck stats opa: got no version %s or platform linux/%s in\n%s", want, runtime.GOARCH, out)
	}
}

// TestAddressOfOPA checks that an Open Policy Agent that sends nothing about itself is counted
// by the version and platform in its address. A variable that was not replaced is answered,
// and not counted.
func TestAddressOfOPA(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relcheck.db")
	served := serve(t, file)
	for _, tag := range []string{"v1.22.2", "v9.0.0"} {
		relcheck(t, "release", "add", "opa", tag, "--db", file)
		awaitRelease(t, served, tag)
	}
	opa := opaReleases[len(opaReleases)-1]
	for _, path := range []string{"/p/opa/as/1.22.2/linux-amd64", "/p/opa/as/v1.22.2/linux-amd64/", "/p/opa/as/$(IMAGE_TAG)/linux-amd64", "/p/opa"} {
		if out := opaVersion(t, opa.binary(t), opa.variable+"=http://"+served.addr+path); !strings.Contains(out, "Latest Upstream Version: 9.0.0\n") {
			t.Errorf("%s: got\n%s, want version 9.0.0", path, out)
		}
	}
	const want = "version,os,arch,checks,share\nv1.22.2,linux,amd64,2,1\n"
	got := ""
	for deadline := time.Now().Add(waitTimeout); got != want && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		got = strings.ReplaceAll(relcheck(t, "stats", "opa", "--by", "checks", "--csv", "--db", file), "\r", "")
	}
	if got != want {
		t.Errorf("relcheck stats opa --by check: got\n%s\nwant\n%s", got, want)
	}
	if out := relcheck(t, "stats", "opa", "--db", file); !strings.Contains(out, "v1.22.2") || !strings.Contains(out, "linux/amd64") {
		t.Errorf("relcheck stats opa: got\n%s\nwant version v1.22.2 and platform linux/amd64", out)
	}
}

// checkRecorded checks the reports of the requests above: five, each from another
// process.
func checkRecorded(t *testing.T, g opaRelease, file string) {
	t.Helper()
	ids := map[string]bool{}
	for line := range strings.Lines(relcheck(t, "export", "opa", "--db", file)) {
		var r struct {
			ID, Version, OS, Arch string
			Heap                  int64 `json:"heap_usage_bytes"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if "v"+r.Version != g.version || r.OS != "linux" || r.Arch != "amd64" || r.Heap < 100_000 || ids[r.ID] {
			t.Errorf("got recorded report %s, want one of %s on linux/amd64 with a heap size and a new instance ID", line, g.version)
		}
		ids[r.ID] = true
	}
	want := 0
	if g.reports {
		want = 5
	}
	if len(ids) != want {
		t.Errorf("got %d recorded instances, want %d", len(ids), want)
	}
}

// awaitRelease waits until the server offers a release that another process has added,
// which may take a second.
func awaitRelease(t *testing.T, p *process, tag string) {
	t.Helper()
	for deadline := time.Now().Add(waitTimeout); ; time.Sleep(20 * time.Millisecond) {
		if strings.Contains(get(t, "http://"+p.addr+"/repos/open-policy-agent/opa/releases/latest"), `"tag_name":"`+tag+`"`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("release %s is not offered after %v", tag, waitTimeout)
		}
	}
}

func opaVersion(t *testing.T, opa, env string) string {
	t.Helper()
	cmd := exec.Command(opa, "version", "--check")
	cmd.Env = append(os.Environ(), env)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && !bytes.Contains(append(out, stderr.Bytes()...), []byte("404")) { // v1.13 and later fail while there is no release
		t.Fatalf("opa version --check: %v\n%s%s", err, out, stderr.Bytes())
	}
	return string(out)
}

// opaRun starts a server and returns the first line of its log whose message contains one
// of the texts.
func opaRun(t *testing.T, opa, env string, texts ...string) map[string]any {
	t.Helper()
	cmd := exec.Command(opa, "run", "--server", "--addr", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug")
	cmd.Env = append(os.Environ(), env)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer func() {
		timeout.Stop()
		cmd.Process.Kill()
		cmd.Wait()
	}()
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line map[string]any
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		message, _ := line["msg"].(string)
		for _, text := range texts {
			if strings.Contains(message, text) {
				return line
			}
		}
	}
	t.Fatalf("opa run: got no log with any of %q", texts)
	return nil
}
