package systemtest

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"relcheck/checker/catalog"
)

// Commands that add files fail on a full disk with advice. Each file that the store lists is
// there, and the same command succeeds once there is space.
func TestFilesOnFullDisk(t *testing.T) {
	t.Parallel()
	n := newClosedNetwork(t, 1, 8, 1<<20)
	n.write("large", randomBytes(8<<20))
	n.copySite("outside", "fetching")
	n.copySite("outside", "adding")
	n.relcheck("file", "fetch", "app", "--db", "@outside.db", "--files", "@outside")
	n.relcheck("bundle", "create", "@bundle", "--db", "@outside.db", "--files", "@outside", "--key", "@key")
	n.relcheck("key", "trust", "@key.pub", "--db", "@applying.db")
	for _, c := range []struct {
		store  string
		args   []string
		atomic bool // the command adds all files or none
		files  int
	}{
		{"fetching", []string{"file", "fetch", "app"}, false, 8},
		{"adding", []string{"file", "add", "app", "v1.0.0", "@large"}, true, 1},
		{"applying", []string{"bundle", "apply", "@bundle"}, true, 8},
	} {
		t.Run(c.store, func(t *testing.T) {
			n := closedNetwork{t, n.dir}
			folder, store := mountSmall(t), "@"+c.store+".db"
			at := []string{"--db", store, "--files", folder}
			before := n.state(n.path(c.store+".db"), "")
			out, status := relcheckStatus(t, n.args(append(c.args, at...))...)
			if status != 1 || !strings.Contains(out, "no space left on device: free space on the disk, for example with relcheck file prune") {
				t.Errorf("got status %d and %s, want 1 and advice", status, out)
			}
			if after := n.state(n.path(c.store+".db"), ""); c.atomic && after != before {
				t.Errorf("got store %s, want %s", after, before)
			}
			for _, name := range n.contents(folder) {
				if c.atomic && name != "store" {
					t.Errorf("the failed command has left %s", name)
				}
			}
			n.relcheck(append([]string{"file", "verify"}, at...)...)
			if err := syscall.Mount("", folder, "", syscall.MS_REMOUNT, "size=40m"); err != nil {
				t.Fatal(err)
			}
			n.relcheck(append(c.args, at...)...)
			n.relcheck(append([]string{"file", "verify"}, at...)...)
			if got := strings.Count(n.relcheck("file", "list", "--db", store), "v1.0.0"); got != c.files {
				t.Errorf("with space again: got %d files, want %d", got, c.files)
			}
		})
	}
}

// A server whose folder of files is full fetches no file. It serves the files that it has,
// and records reports.
func TestFetchOnDemandOnFullDisk(t *testing.T) {
	t.Parallel()
	content := randomBytes(8 << 20)
	o := slowOrigin(t, content)
	store, folder := filepath.Join(t.TempDir(), "relcheck.db"), mountSmall(t)
	hostFile(t, store, folder, "v0.1.0", "small", []byte("small"))
	addFile(t, store, catalog.File{Name: "opa_linux_amd64", URL: o.URL + "/opa"})
	s := &failingServer{process: serve(t, store, "--files", folder, "--fetch-on-demand"), file: store}
	if body, status := getText(t, s.url+"/files/opa/v1.0.0/opa_linux_amd64"); status != http.StatusBadGateway || !strings.Contains(body, "could not be fetched") {
		t.Errorf("got status %d and %.200q, want 502", status, body)
	}
	waitFor(t, "a log that names the reason", func() bool { return s.errs.count("not enough free space") > 0 })
	if body, status := getText(t, s.url+"/files/opa/v0.1.0/small"); status != http.StatusOK || body != "small" {
		t.Errorf("stored file: got status %d and %q, want the file", status, body)
	}
	if status, _, body := s.report(t); status != http.StatusOK {
		t.Errorf("report: got status %d, want 200: %s", status, body)
	}
	s.wantAllRecorded(t)
	for _, name := range (closedNetwork{t, ""}).contents(folder) {
		if strings.HasPrefix(name, "partial") {
			t.Errorf("the failed fetch has left %s", name)
		}
	}
}
