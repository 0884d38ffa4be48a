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

var fileKills = flag.Int("file-kills", 14, "number of times that fetching files, creating bundles and applying them is killed; make test-crash kills 1,000 times")

// killCase is a command that is killed at random times. It works on the store a.db and the
// folder a.
type killCase struct {
	name   string
	from   string   // the store and folder that a.db and a are copies of, without the suffix
	args   []string // of the command
	atomic bool     // the command changes the store in one step
	output string   // bundle that the command creates, or ""
}

// A command that is killed and repeated has the same result as without a kill. No file gets
// its name before it is complete.
func TestFilesKilled(t *testing.T) {
	n := newClosedNetwork(t, 5, 4, 1<<20)
	kills := *fileKills
	if testing.Short() {
		kills = 14
	}
	inside, outside := []string{"--db", "@a.db", "--files", "@a"}, []string{"--db", "@a.db", "--files", "@a", "--key", "@key"}
	apply := func(from, name, bundle string) killCase {
		return killCase{name, from, append([]string{"bundle", "apply", bundle}, inside...), true, ""}
	}
	n.prepareKills()
	all := []killCase{
		{"fetch", "outside", append([]string{"file", "fetch", "app", "--latest", "5"}, inside...), false, ""},
		{"fetch a damaged file", "outside-damaged", append([]string{"file", "fetch", "app", "--latest", "5"}, inside...), false, ""},
		{"create", "outside-full", append([]string{"bundle", "create", "@b/next"}, outside...), false, "b/next"},
		{"create since another", "outside-full", append([]string{"bundle", "create", "@b/next", "--since", "@first.bundle"}, outside...), false, "b/next"},
		apply("inside", "apply", "@full.bundle"),
		apply("inside-damaged", "apply again, with a damaged file", "@full.bundle"),
		apply("inside-first", "apply since another", "@next.bundle"),
	}
	for i, c := range all {
		t.Run(c.name, func(t *testing.T) {
			n.TB = t
			n.testKilled(c, kills*(i+1)/len(all)-kills*i/len(all))
		})
	}
}

// prepareKills creates the stores, folders and bundles of the cases.
func (n closedNetwork) prepareKills() {
	n.Helper()
	full := []string{"--db", "@outside-full.db", "--files", "@outside-full"}
	n.copySite("outside", "outside-full")
	n.relcheck(append([]string{"file", "fetch", "app", "--latest", "2"}, full...)...)
	n.relcheck(append([]string{"bundle", "create", "@first.bundle", "--key", "@key"}, full...)...)
	n.relcheck(append([]string{"file", "fetch", "app", "--latest", "5"}, full...)...)
	n.relcheck(append([]string{"bundle", "create", "@next.bundle", "--since", "@first.bundle", "--key", "@key"}, full...)...)
	n.relcheck(append([]string{"bundle", "create", "@full.bundle", "--key", "@key"}, full...)...)
	n.copySite("outside-full", "outside-damaged")
	n.damage("outside-damaged")

	n.relcheck("key", "trust", "@key.pub", "--db", "@inside.db")
	for from, bundle := range map[string]string{"inside-first": "@first.bundle", "inside-damaged": "@full.bundle"} {
		n.copySite("inside", from)
		n.relcheck("bundle", "apply", bundle, "--db", "@"+from+".db", "--files", "@"+from)
	}
	n.damage("inside-damaged")
	if err := os.Mkdir(n.path("b"), 0o755); err != nil {
		n.Fatal(err)
	}
}

// damage changes a content of a folder, and lets relcheck notice it.
func (n closedNetwork) damage(site string) {
	n.Helper()
	contents, err := filepath.Glob(n.path(site) + "/sha256/*/*")
	if err != nil || len(contents) == 0 {
		n.Fatalf("got contents %q (error %v), want some", contents, err)
	}
	if err = os.Chmod(contents[0], 0o644); err == nil {
		err = os.WriteFile(contents[0], []byte("damaged"), 0o644)
	}
	if err != nil {
		n.Fatal(err)
	}
	args := n.args([]string{"file", "verify", "--db", "@" + site + ".db", "--files", "@" + site})
	if out, status := relcheckStatus(n, args...); status != 1 || !strings.Contains(out, "damaged") {
		n.Fatalf("file verify: got status %d and %s, want 1 and a damaged file", status, out)
	}
}

// copySite copies a SQLite store that no process has open, and its folder of files.
func (n closedNetwork) copySite(from, to string) {
	n.Helper()
	for _, suffix := range []string{".db", ".db-wal", ".db-shm", ".db-lock", ""} {
		os.RemoveAll(n.path(to) + suffix)
	}
	text, err := os.ReadFile(n.path(from) + ".db")
	if err == nil {
		err = os.WriteFile(n.path(to)+".db", text, 0o600)
	}
	if _, missing := os.Stat(n.path(from)); err == nil && missing == nil {
		err = os.CopyFS(n.path(to), os.DirFS(n.path(from)))
	}
	if err != nil {
		n.Fatal(err)
	}
	if info, err := os.Stat(n.path(from) + ".db-wal"); err == nil && info.Size() > 0 {
		n.Fatalf("%s.db has a WAL", from)
	}
}

// testKilled kills a command a number of times.
func (n closedNetwork) testKilled(c killCase, kills int) {
	begin := time.Now()
	n.copySite(c.from, "a")
	before := n.state(n.path("a.db"), n.path("none"))
	started := time.Now()
	n.relcheck("product", "list", "--db", "@a.db")
	least := time.Since(started)
	started = time.Now()
	n.relcheck(c.args...)
	took := time.Since(started)
	after, want := n.state(n.path("a.db"), n.path("none")), n.result(c)
	killed, runs := 0, 0
	for killed < kills {
		n.copySite(c.from, "a")
		ended := false
		for range 1 + rand.IntN(4) {
			runs++
			if ended = n.killed(c, least*2/3+rand.N(max(took*11/10-least*2/3, 1))); ended {
				break
			}
			killed++
			n.contents(n.path("a"))
			if state := n.state(n.path("a.db"), n.path("none")); c.atomic && state != before && state != after {
				n.Fatalf("after %d kills: got a part of the bundle:\n%s", killed, state)
			}
			if _, err := os.Stat(n.path(c.output)); c.output != "" && err == nil { // killed after it was complete
				ended = true
				break
			}
		}
		if !ended {
			n.relcheck(c.args...)
		}
		if got := n.result(c); got != want {
			n.Fatalf("after %d kills: got\n%s\nwant\n%s", killed, got, want)
		}
	}
	n.Logf("%d kills in %d runs, %v; start-up takes %v, the command %v", killed, runs, time.Since(begin), least, took)
}

// killed runs the command and kills it after a time. It reports whether the command ended
// before.
func (n closedNetwork) killed(c killCase, after time.Duration) (ended bool) {
	n.Helper()
	cmd := exec.Command(os.Args[0], n.args(c.args)...)
	cmd.Env = environment("relcheck")
	if err := cmd.Start(); err != nil {
		n.Fatal(err)
	}
	kill := time.AfterFunc(after, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if ended = kill.Stop(); ended && err != nil {
		n.Errorf("%s: %v", strings.Join(c.args, " "), err)
	}
	return ended
}

// result describes the result of a command, and removes the bundle that it created.
func (n closedNetwork) result(c killCase) string {
	n.Helper()
	if c.output == "" {
		return n.state(n.path("a.db"), n.path("a"))
	}
	out := n.relcheck("bundle", "inspect", "@"+c.output, "--key", "@key.pub")
	os.Remove(n.path(c.output))
	left, err := os.ReadDir(filepath.Dir(n.path(c.output)))
	left = slices.DeleteFunc(left, func(e os.DirEntry) bool { return strings.HasSuffix(e.Name(), "-lock") }) // empty, and removed after an hour
	if err != nil || len(left) != 0 {
		n.Errorf("got %v beside the bundle (error %v), want nothing", left, err)
	}
	return sequenceColumn.ReplaceAllString(out[strings.Index(out, "contents"):], "$1")
}
