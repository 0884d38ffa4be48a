package systemtest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"relcheck/checker/command"
)

// newClientServer starts the server. Clients reach it through the gateway.
func newClientServer(t *testing.T) *clientServer {
	f := &clientServer{store: filepath.Join(t.TempDir(), "relcheck.db"), files: t.TempDir()}
	f.findPrograms(t)
	f.gateway = newGateway(t, "checkpoint-api.hashicorp.com", "dl.k8s.io")
	for _, c := range releasedClients {
		f.command(t, append([]string{"product", "add", c.name, "--repo", "me/" + c.name}, c.flags...)...)
	}
	f.server = serve(t, f.store, "--files", f.files, "--base-url", f.URL)
	f.target = f.server.addr
	return f
}

// command runs a relcheck command in this process, which is faster than to start one.
func (f *clientServer) command(t *testing.T, args ...string) {
	t.Helper()
	var out bytes.Buffer
	args = append(args, "--db", f.store)
	if status := command.Run(context.Background(), args, command.IO{Schema: readSchema(), Clock: testClock(), In: strings.NewReader(""), Out: &out, Err: &out}); status != 0 {
		t.Fatalf("relcheck %s: exit status %d\n%s", strings.Join(args, " "), status, out.String())
	}
}

// publish adds a release with its files.
func (f *clientServer) publish(t *testing.T, c releasedClient, version string) {
	t.Helper()
	f.command(t, "release", "add", c.name, version, "--date", "2026-01-02")
	for name, content := range c.files(version) {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		f.command(t, "file", "add", c.name, version, path, "--files", f.files)
	}
}

// await waits until the server offers a release of a product with its files.
func (f *clientServer) await(t *testing.T, c releasedClient, version string) {
	t.Helper()
	waitFor(t, version+" of "+c.name, func() bool {
		text, _ := getText(t, "http://"+f.target+"/p/"+c.name+"/repos/me/"+c.name+"/releases/latest")
		var latest struct {
			Tag    string `json:"tag_name"`
			Assets []struct{}
		}
		return json.Unmarshal([]byte(text), &latest) == nil && latest.Tag == version && len(latest.Assets) == len(c.files(version))
	})
}

// withdraw withdraws a release.
func (f *clientServer) withdraw(t *testing.T, c releasedClient, version string) {
	t.Helper()
	f.command(t, "release", "withdraw", c.name, version)
}
