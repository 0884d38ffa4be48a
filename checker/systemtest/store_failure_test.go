package systemtest

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// published is the latest release of opa in these tests.
const published = "v1.2.3"

// failingServer is a server whose store fails.
type failingServer struct {
	*process
	file         string
	acknowledged acknowledged
}

// serveFailing starts a server in a folder, with one release.
func serveFailing(t *testing.T, folder string) *failingServer {
	t.Helper()
	file := filepath.Join(folder, "relcheck.db")
	p := serve(t, file)
	relcheck(t, "release", "add", "opa", published, "--db", file)
	awaitRelease(t, p, published)
	return &failingServer{process: p, file: file}
}

// report sends a report, each of another version.
func (s *failingServer) report(t *testing.T) (status int, header http.Header, body string) {
	t.Helper()
	id := uuid.New()
	text := fmt.Sprintf(`{"id":"%s","version":"1.0.%d"}`, id, len(s.acknowledged.ids))
	res, err := http.Post("http://"+s.addr+"/v1/version", "application/json", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode == http.StatusOK {
		s.acknowledged.add(id)
	}
	return res.StatusCode, res.Header, readAll(t, res)
}

// wantRefused checks that a report gets the status, a Retry-After header and the latest
// release, and that the server is not ready.
func (s *failingServer) wantRefused(t *testing.T, want int) {
	t.Helper()
	status, header, body := s.report(t)
	if status != want || header.Get("Retry-After") == "" || !strings.Contains(body, `"latest_release":"`+published+`"`) {
		t.Errorf("report: got status %d, Retry-After %q and body %s; want %d and release %s", status, header.Get("Retry-After"), body, want, published)
	}
	if status := s.ready(t); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz: got status %d, want 503", status)
	}
}

// wantAllRecorded checks that all acknowledged reports are recorded.
func (s *failingServer) wantAllRecorded(t *testing.T) {
	t.Helper()
	s.acknowledged.wantRecordedOnce(t, exportedIDs(t, s.file))
}

// TestStoreFileRemoved removes or replaces the files of a running server, which
// must report that within a second.
func TestStoreFileRemoved(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(path string) error{
		"removed":     os.Remove,
		"WAL removed": func(path string) error { return os.Remove(path + "-wal") },
		"replaced": func(path string) error {
			other := path + ".other"
			return errors.Join(os.WriteFile(other, nil, 0o600), os.Rename(other, path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveFailing(t, t.TempDir())
			if status, _, body := s.report(t); status != http.StatusOK {
				t.Fatalf("before: got status %d, want 200: %s", status, body)
			}
			if err := take(s.file); err != nil {
				t.Fatal(err)
			}
			awaitStatus(t, s.process, http.StatusServiceUnavailable)
			s.wantRefused(t, http.StatusServiceUnavailable)
		})
	}
}

// TestKilledDuringCheckpoint kills a server at various points of a checkpoint. It must
// lose no acknowledged report, and be ready again within two seconds.
func TestKilledDuringCheckpoint(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "relcheck.db")
	var acked acknowledged
	var ready []time.Duration
	rounds := 8
	for round := range rounds {
		begin := time.Now()
		p := serve(t, file)
		awaitStatus(t, p, http.StatusOK)
		ready = append(ready, time.Since(begin))
		c := start(t, "checkpoint", file)
		acked.untilKilled(t, p, 16, time.Duration(20+140*round/rounds)*time.Millisecond, c)
	}
	acked.wantRecordedOnce(t, exportedIDs(t, file))
	if len(acked.ids) == 0 {
		t.Error("got no acknowledged reports, want some")
	}
	if fastest := slices.Min(ready); fastest > 2*time.Second { // on a busy machine, some starts take longer
		t.Errorf("got the fastest start in %v, want up to 2 s", fastest)
	}
}
