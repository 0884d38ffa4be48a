package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestClients checks that released clients of other protocols announce, or install, what
// the server offers to them, follow a change of the catalog, and do nothing if they are up
// to date or the answer is an error. As a control, one wrong field in the answer must
// make each of them fail.
func TestClients(t *testing.T) {
	t.Parallel()
	f := newClientServer(t)
	for _, c := range releasedClients {
		t.Run(c.name, func(t *testing.T) { f.test(t, c) })
	}
}

// releasedClient is a client of another protocol, with a product of its own.
type releasedClient struct {
	name     string    // also of the product
	flags    []string  // of relcheck product add
	versions [4]string // running, newer, newest, and a later pre-release; see defaultVersions
	files    func(version string) map[string][]byte
	run      func(*clientRun) (announced string)
	alert    string // on standard error, if it runs a withdrawn release
	control  change
}

var defaultVersions = [4]string{"v1.2.0", "v1.3.0", "v1.4.0", "v1.5.0-rc.1"}

// clientServer is a server with a product for each client.
type clientServer struct {
	*gateway
	server       *process
	store, files string
	programs     string // folder of make clients
	modules      string // folder from which run.mjs imports its packages
}

// findPrograms finds what make clients installs.
func (f *clientServer) findPrograms(t *testing.T) {
	t.Helper()
	var err error
	if f.programs, err = filepath.Abs("../../.cache/clients"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(f.programs, "clients"), filepath.Join(f.programs, "kubeadm"), "node", "gh", "curl", "wget"} {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, name+"; make clients builds or installs it")
		}
	}
	packages := filepath.Join(f.programs, "node_modules")
	if _, err := os.Stat(packages); err != nil {
		missing(t, packages+"; make clients installs them")
	}
	f.modules = t.TempDir()
	script, err := os.ReadFile("testdata/clients/run.mjs")
	if err == nil {
		err = os.WriteFile(filepath.Join(f.modules, "run.mjs"), script, 0o644)
	}
	if err == nil {
		err = os.Symlink(packages, filepath.Join(f.modules, "node_modules"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// test tests one client.
func (f *clientServer) test(t *testing.T, c releasedClient) {
	v := c.versions
	if v == [4]string{} {
		v = defaultVersions
	}
	if c.files == nil {
		c.files = someFiles
	}
	r := &clientRun{T: t, clientServer: f, state: t.TempDir()}
	announced := func(product, running string) string {
		t.Helper()
		r.product, r.version, r.dir = product, running, t.TempDir()
		if got := strings.TrimPrefix(c.run(r), "v"); got != strings.TrimPrefix(running, "v") {
			return got
		}
		return ""
	}
	want := func(step, product, running, version string) {
		t.Helper()
		if got := announced(product, running); got != strings.TrimPrefix(version, "v") {
			t.Errorf("%s: %s announces %q, want %q", step, running, got, version)
		}
	}
	f.publish(t, c, v[0])
	f.publish(t, c, v[3])
	f.publish(t, c, v[1])
	f.await(t, c, v[1])
	want("outdated", c.name, v[0], v[1])
	f.publish(t, c, v[2])
	f.await(t, c, v[2])
	want("newer release", c.name, v[0], v[2])
	want("up to date", c.name, v[2], "")
	want("unknown product", "nothing", v[0], "")
	want("unknown channel", c.name+"@nothing", v[0], "")
	r.state = t.TempDir()
	f.with(t, c.control, func() {
		if got := announced(c.name, v[0]); got == strings.TrimPrefix(v[2], "v") {
			t.Errorf("control: got %s in spite of %s in place of %s", got, c.control.text, c.control.pattern)
		}
	})
	f.withdraw(t, c, v[2])
	f.await(t, c, v[1])
	want("withdrawn release", c.name, v[1], "")
	want("outdated, withdrawn release", c.name, v[0], v[1])
	if got := announced(c.name, v[2]); got != "" && got != strings.TrimPrefix(v[1], "v") || !strings.Contains(r.stderr, c.alert) {
		t.Errorf("withdrawn release: %s announces %q and prints %q, want nothing or %s, and %q", v[2], got, r.stderr, v[1], c.alert)
	}
}
