package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// olderOPAs are releases of Open Policy Agent with earlier forms of its messages.
var olderOPAs = []opaRelease{
	{"v0.28.0", "OPA_TELEMETRY_SERVICE_URL", true}, // without its heap size
	{"v1.6.0", "OPA_TELEMETRY_SERVICE_URL", true},
	{"v1.10.1", "OPA_TELEMETRY_SERVICE_URL", false},
}

// TestReleasesOfOPA checks that Open Policy Agents show the latest release, follow a change
// of the catalog, and show nothing if they are up to date or the answer is an error. As a
// control, a wrong version in the answer must not be shown.
func TestReleasesOfOPA(t *testing.T) {
	for _, g := range append(olderOPAs, opaReleases...) {
		t.Run(g.version, func(t *testing.T) {
			opa := g.binary(t)
			file := filepath.Join(t.TempDir(), "relcheck.db")
			served := serve(t, file)
			way := newGateway(t)
			way.target = served.addr
			t.Setenv("SSL_CERT_FILE", way.ca)
			shown := func(path string) string {
				cmd := exec.Command(opa, "version", "--check")
				cmd.Env = append(os.Environ(), g.variable+"="+way.URL+path)
				out, err := cmd.CombinedOutput()
				t.Logf("opa version --check: %s (error %v)", out, err)
				_, version, _ := strings.Cut(string(out), "Latest Upstream Version: ")
				version, _, _ = strings.Cut(version, "\n")
				return version
			}
			want := func(step, path, version string) {
				t.Helper()
				if got := shown(path); got != version {
					t.Errorf("%s: got latest version %q, want %q", step, got, version)
				}
			}
			for _, tag := range []string{g.version, "v8.0.0", "v9.0.0"} {
				relcheck(t, "release", "add", "opa", tag, "--db", file)
				awaitRelease(t, served, tag)
				want("latest release", "/p/opa", strings.TrimPrefix(tag, "v"))
				if level := opaRun(t, opa, g.variable+"="+way.URL+"/p/opa", "is up to date", "is out of date")["level"]; (level == "debug") != (tag == g.version) {
					t.Errorf("latest release %s: opa run: got log level %v", tag, level)
				}
			}
			want("unknown product", "/p/nothing", "")
			want("unknown channel", "/p/opa@nothing", "")
			way.with(t, change{path: "/p/opa", pattern: `9\.0\.0`, text: "nine"}, func() {
				if got := shown("/p/opa"); got == "9.0.0" {
					t.Errorf("control: got latest version %s", got)
				}
			})
			relcheck(t, "release", "withdraw", "opa", "v9.0.0", "--db", file)
			awaitRelease(t, served, "v8.0.0")
			want("withdrawn release", "/p/opa", "8.0.0")
		})
	}
}
