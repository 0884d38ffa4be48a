package systemtest

import (
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var fileKills = flag.Int("file-kills", unlessRace(100, 30), "number of times that fetching files, creating bundles and applying them is killed")

// killed is a command that is killed at random times.
type killed struct {
	closedNetwork
	args []string      // of the command
	took time.Duration // without a kill
	n    int           // number of kills
}

// newKilled runs a command to its end, and measures the time.
func newKilled(n closedNetwork, args ...string) *killed {
	n.Helper()
	begin := time.Now()
	n.relcheck(args...)
	return &killed{n, n.args(args), time.Since(begin), 0}
}

// run runs the command and kills it at a random time. It reports whether the command ended
// before the kill.
func (k *killed) run() (ended bool) {
	k.Helper()
	cmd := exec.Command(os.Args[0], k.args...)
	cmd.Env = environment("relcheck")
	if err := cmd.Start(); err != nil {
		k.Fatal(err)
	}
	kill := time.AfterFunc(time.Duration(rand.Int64N(int64(k.took)*6/5)), func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if ended = kill.Stop(); ended && err != nil {
		k.Errorf("%s: %v", strings.Join(k.args, " "), err)
	}
	if !ended {
		k.n++
	}
	return ended
}

// copyStore copies a SQLite store that no process has open.
func (n closedNetwork) copyStore(from, to string) {
	n.Helper()
	for _, suffix := range []string{"", "-wal", "-shm", "-lock"} {
		os.Remove(n.path(to) + suffix)
	}
	text, err := os.ReadFile(n.path(from))
	if err == nil {
		err = os.WriteFile(n.path(to), text, 0o600)
	}
	if err != nil {
		n.Fatal(err)
	}
	if info, err := os.Stat(n.path(from) + "-wal"); err == nil && info.Size() > 0 {
		n.Fatalf("%s has a WAL", from)
	}
}

// A command that is killed and repeated has the same result as without a kill. No file gets
// its name before it is complete.
func TestFilesKilled(t *testing.T) {
	n := newClosedNetwork(t, 5, 4, 200<<10)
	kills := *fileKills
	if testing.Short() {
		kills = 12
	}
	t.Run("fetch", func(t *testing.T) { testFetchKilled(t, n, kills/3) })
	n.relcheck("file", "fetch", "app", "--latest", "5", "--db", "@outside.db", "--files", "@outside")
	t.Run("create", func(t *testing.T) { testCreateKilled(t, n, kills/3) })
	n.relcheck("bundle", "create", "@app.bundle", "--db", "@outside.db", "--files", "@outside", "--key", "@key")
	n.relcheck("key", "trust", "@key.pub", "--db", "@inside.db")
	t.Run("apply", func(t *testing.T) { testApplyKilled(t, n, kills-2*(kills/3)) })
}

func testFetchKilled(t *testing.T, n closedNetwork, kills int) {
	n.TB = t
	n.copyStore("outside.db", "fetched.db")
	n.copyStore("outside.db", "a.db")
	k := newKilled(n, "file", "fetch", "app", "--latest", "5", "--db", "@fetched.db", "--files", "@fetched")
	want := n.state(n.path("fetched.db"), n.path("fetched"))
	k.args = n.args([]string{"file", "fetch", "app", "--latest", "5", "--db", "@a.db", "--files", "@a"})
	for k.n < kills {
		for range 1 + rand.IntN(4) {
			k.run()
			n.contents(n.path("a"))
		}
		relcheck(t, k.args...)
		if got := n.state(n.path("a.db"), n.path("a")); got != want {
			t.Fatalf("after %d kills: got\n%s\nwant\n%s", k.n, got, want)
		}
		n.copyStore("outside.db", "a.db")
		os.RemoveAll(n.path("a"))
	}
}

func testCreateKilled(t *testing.T, n closedNetwork, kills int) {
	n.TB = t
	if err := os.MkdirAll(n.path("b"), 0o755); err != nil {
		t.Fatal(err)
	}
	k := newKilled(n, "bundle", "create", "@b/first", "--db", "@outside.db", "--files", "@outside", "--key", "@key")
	inspect := func(name string) string {
		out := n.relcheck("bundle", "inspect", "@"+name, "--key", "@key.pub")
		return sequenceColumn.ReplaceAllString(out[strings.Index(out, "contents"):], "$1")
	}
	want := inspect("b/first")
	k.args = n.args([]string{"bundle", "create", "@b/next", "--db", "@outside.db", "--files", "@outside", "--key", "@key"})
	for k.n < kills {
		ended := false
		for range 1 + rand.IntN(4) {
			if ended = k.run(); ended {
				break
			}
			if _, err := os.Stat(n.path("b/next")); err == nil { // killed after it was complete
				ended = true
				break
			}
		}
		if !ended {
			relcheck(t, k.args...)
		}
		if got := inspect("b/next"); got != want {
			t.Fatalf("after %d kills: got\n%s\nwant\n%s", k.n, got, want)
		}
		os.Remove(n.path("b/next"))
	}
	relcheck(t, k.args...)
	left, err := os.ReadDir(n.path("b"))
	left = slices.DeleteFunc(left, func(e os.DirEntry) bool { return strings.HasSuffix(e.Name(), "-lock") }) // empty, and removed after an hour
	if err != nil || len(left) != 2 {
		t.Errorf("got %v in the folder (error %v), want two bundles", left, err)
	}
}

func testApplyKilled(t *testing.T, n closedNetwork, kills int) {
	n.TB = t
	before := n.state(n.path("inside.db"), n.path("none"))
	n.copyStore("inside.db", "applied.db")
	n.copyStore("inside.db", "a.db")
	k := newKilled(n, "bundle", "apply", "@app.bundle", "--db", "@applied.db", "--files", "@applied")
	want := n.state(n.path("applied.db"), n.path("applied"))
	k.args = n.args([]string{"bundle", "apply", "@app.bundle", "--db", "@a.db", "--files", "@b-files"})
	os.RemoveAll(n.path("b-files"))
	for k.n < kills {
		for range 1 + rand.IntN(4) {
			k.run()
			if got := n.state(n.path("a.db"), n.path("none")); got != before && got != withoutContents(want) {
				t.Fatalf("after %d kills: got a part of the bundle:\n%s", k.n, got)
			}
			n.contents(n.path("b-files"))
		}
		relcheck(t, k.args...)
		if got := n.state(n.path("a.db"), n.path("b-files")); got != want {
			t.Fatalf("after %d kills: got\n%s\nwant\n%s", k.n, got, want)
		}
		n.copyStore("inside.db", "a.db")
		os.RemoveAll(n.path("b-files"))
	}
}

// withoutContents removes the names of files from a state.
func withoutContents(state string) string {
	lines := slices.Collect(strings.Lines(state))
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "sha256"+string(filepath.Separator)) })
	return strings.Join(lines, "")
}
