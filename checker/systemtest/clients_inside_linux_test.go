package systemtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestClientsInClosedNetwork checks, in a network namespace without any route, that
// programs update themselves from hosted files, that relcheck reads releases from another
// relcheck through GitHub's API, and that clients with a fixed host find the server by
// DNS.
func TestClientsInClosedNetwork(t *testing.T) {
	if os.Getenv(closedNetworkFolder) == "" {
		t.Parallel()
		(&clientServer{}).findPrograms(t)
		closedNetwork{t, t.TempDir()}.runInside(t)
		return
	}
	ipCommand(t, "link", "set", "lo", "up")
	f := newClientServer(t)
	for _, c := range releasedClients {
		if strings.HasPrefix(c.name, "go-selfupdate") || strings.HasPrefix(c.name, "electron") {
			t.Run(c.name, func(t *testing.T) { f.test(t, c) })
		}
	}
	t.Run("sync", f.testSync)
	t.Run("names", f.testNames)
}

// testSync reads the releases of a product of the server into another store.
func (f *clientServer) testSync(t *testing.T) {
	t.Setenv("SSL_CERT_FILE", f.ca)
	n := closedNetwork{t, t.TempDir()}
	n.relcheck("product", "add", "copy", "--upstream", "github:"+f.URL+"/p/go-selfupdate-github/repos/me/app", "--db", "@copy.db")
	n.relcheck("release", "sync", "copy", "--db", "@copy.db")
	copied := n.relcheck("release", "export", "copy", "--db", "@copy.db")
	for _, want := range []string{"v1.2.0", "v1.3.0", "v1.5.0-rc.1", "2026-01-02", sha256Of(someFiles("v1.3.0")["app_linux_amd64.tar.gz"])} {
		if !strings.Contains(copied, want) {
			t.Errorf("relcheck release export: got no %s:\n%s", want, copied)
		}
	}
	if strings.Contains(copied, "v1.4.0") {
		t.Errorf("relcheck release export: got v1.4.0, which is withdrawn:\n%s", copied)
	}
}

// testNames runs clients whose host is fixed, with a server on its port.
func (f *clientServer) testNames(t *testing.T) {
	hosts := []string{"checkpoint-api.hashicorp.com", "dl.k8s.io", "version-info.temporal.io"}
	n := closedNetwork{t, t.TempDir()}
	pair := newKeyPair(t, 24, hosts...)
	n.write("cert.pem", pair.cert)
	n.write("key.pem", pair.key)
	n.write("hosts", []byte("127.0.0.1 localhost "+strings.Join(hosts, " ")+"\n"))
	if err := unix.Mount(n.path("hosts"), "/etc/hosts", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	f.command(t, "product", "add", "temporal", "--dialect", "temporal")
	for _, product := range []string{"checkpoint", "temporal", "kubeadm"} {
		c := releasedClient{name: product, files: noFiles}
		f.publish(t, c, "v1.36.1")
		f.publish(t, c, "v1.36.2")
	}
	f.server.stop(t)
	serve(t, f.store, "--listen", "127.0.0.1:443", "--base-url", f.URL, "--tls-cert", n.path("cert.pem"), "--tls-key", n.path("key.pem"))
	r := &clientRun{T: t, clientServer: f, dir: n.dir}
	ca := []string{"SSL_CERT_FILE=" + n.path("cert.pem"), "CHECKPOINT_TIMEOUT=30000"}
	for _, program := range [][]string{
		{"clients", "checkpoint", "checkpoint", "v1.36.1", n.path("cache")},
		{"clients", "temporal", "temporal", "v1.36.1"},
		{"kubeadm", "stable-1"},
	} {
		if got := r.exec(ca, filepath.Join(r.programs, program[0]), program[1:]...); strings.TrimPrefix(got, "v") != "1.36.2" {
			t.Errorf("%v: got version %q, want 1.36.2", program, got)
		}
	}
}
