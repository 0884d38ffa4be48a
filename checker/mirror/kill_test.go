package mirror

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// childRole makes the test binary fetch a file in another process. Its value is a folder, a
// URL and a SHA-256. A fourth word "direct" makes it write under the final name.
const childRole = "RELCHECK_TEST_FETCH"

func TestMain(m *testing.M) {
	if role := strings.Fields(os.Getenv(childRole)); len(role) > 0 {
		if err := fetchInChild(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func fetchInChild(role []string) error {
	f, err := Open(role[0], "store")
	if err != nil {
		return err
	}
	fetcher := Fetcher{Folder: f, Client: http.DefaultClient, Speed: rate.NewLimiter(100<<20, 64<<10)}
	from := Source{URL: role[1], Digests: Digests{SHA256: role[2]}}
	if len(role) == 4 {
		return fetchDirectly(&fetcher, from)
	}
	_, err = fetcher.Fetch(context.Background(), from, nil)
	return err
}

func fetchDirectly(f *Fetcher, from Source) error {
	if err := f.Folder.root.MkdirAll(contents+"/"+from.SHA256[:2], 0o755); err != nil {
		return err
	}
	file, err := f.Folder.root.Create(contentPath(from.SHA256))
	if err != nil {
		return err
	}
	p := &partial{folder: f.Folder, file: file, buffer: make([]byte, 64<<10)}
	return f.attempt(context.Background(), p, from, nil)
}

// A killed download leaves no partial file under a final name, and the next download
// completes the file. The test also detects a program that writes under the final name.
func TestFetchKilled(t *testing.T) {
	served := newFile(4 << 20)
	s := httptest.NewServer(served)
	defer s.Close()
	kills := 200
	if testing.Short() {
		kills = 20
	}
	run := func(f *Folder, after time.Duration, role ...string) error {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), childRole+"="+strings.Join(append([]string{f.path, s.URL, served.digests().SHA256}, role...), " "))
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(after, func() { child.Process.Kill() })
		defer kill.Stop()
		return child.Wait()
	}
	complete := func() (took time.Duration) {
		f := folder(t)
		begin := time.Now()
		if err := run(f, time.Minute); err != nil || checkFolder(t, f) != 1 {
			t.Fatalf("fetch without a kill: %v", err)
		}
		return time.Since(begin)
	}
	took := complete()
	f, killed := folder(t), 0
	for i := range kills {
		if err := run(f, time.Duration(rand.Int64N(int64(took)))); err != nil {
			killed++
		}
		if n := checkFolder(t, f); n == 1 && i < kills-1 { // start with the next one
			f.root.Remove(contentPath(served.digests().SHA256))
		}
	}
	if err := run(f, time.Minute); err != nil || checkFolder(t, f) != 1 || len(partialFiles(t, f)) > 0 {
		t.Errorf("fetch after %d kills: %v, partial files %v", killed, err, partialFiles(t, f))
	}
	if killed < kills/4 {
		t.Errorf("only %d of %d processes were killed", killed, kills)
	}
	control := folder(t)
	for range 20 {
		run(control, time.Duration(rand.Int64N(int64(took))), "direct")
		if err := control.Verify(t.Context(), served.digests().SHA256); errors.Is(err, ErrDamaged) {
			return
		}
	}
	t.Error("a program that writes under the final name was not caught")
}
