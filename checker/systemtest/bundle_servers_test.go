package systemtest

import (
	"strings"
	"testing"
	"time"
)

// After one process applies a bundle or fetches files, two servers of one database answer
// with the result within two seconds.
func TestBundleReachesAllServers(t *testing.T) {
	n := newClosedNetwork(t, 2, 1, 1000)
	n.relcheck("file", "fetch", "app", "--latest", "2", "--db", "@outside.db", "--files", "@outside")
	n.relcheck("bundle", "create", "@app.bundle", "--db", "@outside.db", "--files", "@outside", "--key", "@key")
	store := database(t)
	n.relcheck("key", "trust", "@key.pub", "--db", store)
	servers := []*process{serve(t, store), serve(t, store)}
	n.relcheck("bundle", "apply", "@app.bundle", "--db", store, "--files", "@inside")
	begin := time.Now()
	for i, s := range servers {
		waitFor(t, "the release of the bundle", func() bool {
			return strings.Contains(get(t, s.url+"/p/app/repos/a/b/releases/latest"), `"v1.1.0"`)
		})
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("server %d: got the release after %v, want at most 2s", i, took)
		}
	}
}
