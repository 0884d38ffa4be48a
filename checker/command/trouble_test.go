package command_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// published is the latest release of opa in the tests of a store in trouble.
const published = "v1.2.3"

// troubled is a server whose store gets into trouble.
type troubled struct {
	*process
	file         string
	acknowledged map[uuid.UUID]bool
}

// serveTroubled starts a server in a folder, which knows one release.
func serveTroubled(t *testing.T, folder string) *troubled {
	t.Helper()
	file := filepath.Join(folder, "relcheck.db")
	p := start(t, "relcheck", "serve", "--listen", "127.0.0.1:0", "--db", file)
	relcheck(t, "release", "add", "opa", published, "--db", file)
	awaitRelease(t, p, published)
	return &troubled{p, file, map[uuid.UUID]bool{}}
}

// report sends one, each of a version that was not reported before.
func (s *troubled) report(t *testing.T) (status int, header http.Header, body string) {
	t.Helper()
	id := uuid.New()
	text := fmt.Sprintf(`{"id":"%s","version":"1.0.%d"}`, id, len(s.acknowledged))
	res, err := http.Post("http://"+s.addr+"/v1/version", "application/json", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode == http.StatusOK {
		s.acknowledged[id] = true
	}
	return res.StatusCode, res.Header, readAll(t, res)
}

// refuses makes sure that reports are refused with a status, that the answer tells
// when to come again and names the latest release, and that the server is not ready.
func (s *troubled) refuses(t *testing.T, want int) {
	t.Helper()
	status, header, body := s.report(t)
	if status != want || header.Get("Retry-After") == "" || !strings.Contains(body, `"latest_release":"`+published+`"`) {
		t.Errorf("a report is answered %d, Retry-After %q: %s; want %d, and %s in it", status, header.Get("Retry-After"), body, want, published)
	}
	res, err := http.Get("http://" + s.addr + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	if readAll(t, res); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d", res.StatusCode)
	}
}

// kept makes sure that all which was acknowledged is there.
func (s *troubled) kept(t *testing.T) {
	t.Helper()
	seen := exportedIDs(t, s.file)
	for id := range s.acknowledged {
		if seen[id] != 1 {
			t.Errorf("%s was acknowledged, and is there %d times", id, seen[id])
		}
	}
}

// A server whose file was taken away says so within a second.
func TestFileTakenFromServer(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(path string) error{
		"removed":         os.Remove,
		"its log removed": func(path string) error { return os.Remove(path + "-wal") },
		"replaced": func(path string) error {
			other := path + ".other"
			return errors.Join(os.WriteFile(other, nil, 0o600), os.Rename(other, path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveTroubled(t, t.TempDir())
			if status, _, body := s.report(t); status != http.StatusOK {
				t.Fatalf("before: %d %s", status, body)
			}
			if err := take(s.file); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			s.refuses(t, http.StatusServiceUnavailable)
		})
	}
}

// A server that was killed, at any point of writing its log into the file, has all
// that it has acknowledged, and is ready again within two seconds.
func TestKilledDuringCheckpoint(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "relcheck.db")
	acknowledged := map[uuid.UUID]bool{}
	var ready []time.Duration
	for round := range 20 {
		begin := time.Now()
		p := start(t, "relcheck", "serve", "--listen", "127.0.0.1:0", "--db", file)
		awaitStatus(t, p, http.StatusOK)
		ready = append(ready, time.Since(begin))
		c := start(t, "checkpoint", file)
		maps.Copy(acknowledged, loadUntilKilled(t, p, 16, time.Duration(20+7*round)*time.Millisecond, c))
	}
	seen := exportedIDs(t, file)
	for id := range acknowledged {
		if seen[id] != 1 {
			t.Errorf("%s was acknowledged, and is there %d times", id, seen[id])
		}
	}
	if len(acknowledged) == 0 {
		t.Error("nothing was acknowledged")
	}
	if soonest := slices.Min(ready); soonest > 2*time.Second { // the others may have had to wait for a processor
		t.Errorf("ready after %v at the soonest", soonest)
	}
}
