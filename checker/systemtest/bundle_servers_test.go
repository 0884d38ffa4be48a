package systemtest

import (
	"os"
	"strings"
	"testing"
	"time"
)

// After one process applies a bundle, two servers of one database and one folder answer with
// its release and serve its file within two seconds.
func TestBundleReachesAllServers(t *testing.T) {
	n := newClosedNetwork(t, 2, 1, 1000)
	n.relcheck("file", "fetch", "app", "--latest", "2", "--db", "@outside.db", "--files", "@outside")
	n.relcheck("bundle", "create", "@app.bundle", "--db", "@outside.db", "--files", "@outside", "--key", "@key")
	store := database(t)
	n.relcheck("key", "trust", "@key.pub", "--db", store)
	servers := []*process{serve(t, store, "--files", n.path("inside")), serve(t, store, "--files", n.path("inside"))}
	want, err := os.ReadFile(n.path("upstream/v1.1.0/app-linux-amd64"))
	if err != nil {
		t.Fatal(err)
	}
	n.relcheck("bundle", "apply", "@app.bundle", "--db", store, "--files", "@inside")
	begin := time.Now()
	for i, s := range servers {
		link := s.url + "/files/app/v1.1.0/app-linux-amd64"
		waitFor(t, "link to the file of the bundle", func() bool {
			answer, _ := getText(t, s.url+"/p/app/repos/a/b/releases/latest")
			file, _ := getText(t, link)
			return strings.Contains(answer, `"`+link+`"`) && file == string(want)
		})
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("server %d: got the file after %v, want at most 2s", i, took)
		}
	}
}
