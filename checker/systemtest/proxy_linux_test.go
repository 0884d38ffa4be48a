package systemtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
	"relcheck/db/pgtest"
)

// nginxBlock is a part of a configuration in the manual.
var nginxBlock = regexp.MustCompile("(?s)```nginx part of [a-z]+\n(.*?)```")

// TestPathPrefix checks that nginx can pass a path on to relcheck, with the examples in the
// manual: one keeps the path of the base URL, over TLS, and one strips it. A browser signs
// in, opens all pages and signs out; Open Policy Agent checks for releases.
func TestPathPrefix(t *testing.T) {
	modules := browserModules(t)
	manual, err := os.ReadFile("../manual/proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := nginxBlock.FindAllStringSubmatch(string(manual), -1)
	if len(blocks) != 2 {
		t.Fatalf("got %d examples of nginx in the manual, want 2", len(blocks))
	}
	dir := t.TempDir()
	pair := newKeyPair(t, 4001)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if os.WriteFile(cert, pair.cert, 0o600) != nil || os.WriteFile(key, pair.key, 0o600) != nil {
		t.Fatal("cannot write the certificate")
	}
	t.Setenv("SSL_CERT_FILE", cert)
	file := filepath.Join(dir, "relcheck.db")
	fill(t, file, fleet.Fleet{Seed: 7, Days: 40, Instances: 20, Every: 24 * time.Hour, End: rollup.DayOf(time.Now())})
	relcheck(t, "release", "add", "opa", "cli/v0.0.1", "--db", file)
	relcheck(t, "product", "add", "plain", "--db", file)
	token := strings.TrimSpace(relcheck(t, "token", "add", "api", "--db", file))
	stores := []string{file, filepath.Join(dir, "copy.db")}
	relcheck(t, "copy", "--from", file, "--to", stores[1])

	var config strings.Builder
	var addrs []string
	var servers []pageServer
	for i, scheme := range []string{"https", "http"} {
		addr, err := pgtest.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		base := scheme + "://" + addr + "/releases"
		served := serve(t, stores[i], "--base-url", base, "--trusted-proxy", "127.0.0.1")
		tls := ""
		if scheme == "https" {
			tls = fmt.Sprintf(" ssl; ssl_certificate %s; ssl_certificate_key %s", cert, key)
		}
		before, location, _ := strings.Cut("\n"+blocks[i][1], "\nlocation ")
		fmt.Fprintf(&config, "%s\nserver { listen %s%s; location %s }\n", before, addr, tls, strings.ReplaceAll(location, "127.0.0.1:8080", served.addr))
		addrs = append(addrs, addr)
		servers = append(servers, pageServer{base, strings.TrimSpace(relcheck(t, "token", "link", "--db", stores[i], "--base-url", base))})
	}
	startNginx(t, config.String(), addrs...)

	t.Run("browser", func(t *testing.T) {
		input, err := json.Marshal(servers)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("node", "testdata/browser/prefix.mjs", modules)
		cmd.Stdin = bytes.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s", out)
	})
	for _, s := range servers {
		t.Run(s.Base, func(t *testing.T) { testPathPrefix(t, s.Base, token) })
	}
}

// testPathPrefix sends requests of programs through a proxy.
func testPathPrefix(t *testing.T, base, token string) {
	latest := strings.TrimSpace(relcheck(t, "check", "--product", "opa", "--as", "v0.0.1", "--url", base))
	r, err := http.NewRequest("GET", base+"/api/v1/products/opa/releases/cli%2Fv0.0.1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if body := readAll(t, res); res.StatusCode != 200 {
		t.Errorf("release with an escaped slash: got %s and %s, want status 200", res.Status, body)
	}
	for _, g := range opaReleases {
		path := ""
		if !g.reports {
			path = "/p/opa/as/1.22.2/linux-amd64"
		}
		out := opaVersion(t, g.binary(t), g.variable+"="+base+path)
		_, version, found := strings.Cut(out, "Latest Upstream Version: ")
		if version, _, _ = strings.Cut(version, "\n"); !found || !strings.Contains(latest, version) {
			t.Errorf("OPA %s: got %s, want the latest version of %s", g.version, out, latest)
		}
	}
}

// startNginx starts nginx with configuration inside of http until the test ends, and waits
// until it accepts connections.
func startNginx(t testing.TB, config string, addrs ...string) *process {
	t.Helper()
	program, err := exec.LookPath("/usr/sbin/nginx")
	if err != nil {
		missing(t, "nginx")
	}
	dir := t.TempDir()
	config = fmt.Sprintf(`daemon off; worker_processes auto; pid %[1]s/pid; error_log %[1]s/error.log; user root;
events { worker_connections 1024; }
http { access_log off; default_type application/octet-stream;
client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
%[2]s }`, dir, config)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() })
	for _, addr := range addrs {
		waitFor(t, "nginx", func() bool {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	return &process{cmd: cmd, addr: addrs[0], url: "http://" + addrs[0]}
}
