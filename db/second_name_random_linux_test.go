package db_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var sequences = flag.Int("sequences", 4, "number of random sequences of processes that use a store by several names (make test-crash: 100)")

// Processes use a store by several names and are killed at random moments. They lose nothing
// that they have acknowledged, or refuse to open the store.
func TestRandomNames(t *testing.T) {
	skipRace(t)
	t.Parallel()
	acknowledged, refused := 0, 0
	for i := range *sequences {
		n := newNameTest(t, uint64(i), "")
		if err := n.run(t, 8); err != nil {
			t.Fatalf("sequence %d: %v\n%s", i, err, strings.Join(n.steps, "\n"))
		}
		acknowledged += len(n.acknowledged)
		refused += n.refused
	}
	t.Logf("%d reports and changes acknowledged, %d opens refused", acknowledged, refused)
	if acknowledged < 10**sequences || refused < *sequences/2 {
		t.Errorf("got %d acknowledged reports and changes and %d refused opens, want at least %d and %d", acknowledged, refused, 10**sequences, *sequences/2)
	}
}

// The control: the same sequences destroy the store if processes do not check for other names.
func TestRandomNamesControl(t *testing.T) {
	skipRace(t)
	t.Parallel()
	for i := range 40 {
		n := newNameTest(t, uint64(i), "trusting ")
		if err := n.run(t, 8); err != nil {
			t.Logf("sequence %d: %v", i, err)
			return
		}
	}
	t.Error("got no loss without the check for other names, want some")
}

// nameTest is a store, its names, and the processes that use it.
type nameTest struct {
	random       *rand.Rand
	trust        string
	names        []string
	recording    map[*child]string // the name that each child uses
	removed      bool              // a WAL was removed: a kill would lose its reports
	acknowledged []string
	refused      int
	steps        []string
}

func newNameTest(t testing.TB, seed uint64, trust string) *nameTest {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.db")
	open(t, path).Close()
	n := &nameTest{random: rand.New(rand.NewPCG(1, seed)), trust: trust, names: []string{path, path}, recording: map[*child]string{}}
	for _, alias := range []string{"hard link", "hard link beside it", "mount of the file", "mount of the folder", "symbolic link to the file"} {
		n.names = append(n.names, aliases[alias].make(t, path))
	}
	return n
}

// run does a number of random things, and returns an error if anything is lost.
func (n *nameTest) run(t *testing.T, acts int) error {
	for range acts {
		name := n.names[n.random.IntN(len(n.names))]
		switch act := n.random.IntN(10); {
		case act < 4:
			n.log("record by %s", name)
			if c := startChild(t, n.trust+"record "+name); c.awaitRecording() {
				n.recording[c] = name
			} else {
				n.collect(c, c.wait())
			}
		case act < 7:
			n.log("change by %s", name)
			c := startChild(t, n.trust+"change "+name)
			n.collect(c, c.wait())
		case act < 9:
			n.stopOne(n.random.IntN(3) > 0)
		default:
			n.remove()
		}
		time.Sleep(time.Duration(n.random.IntN(30)) * time.Millisecond) // the children record meanwhile
	}
	for len(n.recording) > 0 {
		n.stopOne(n.random.IntN(2) > 0)
	}
	return n.check(t)
}

func (n *nameTest) log(format string, args ...any) {
	n.steps = append(n.steps, fmt.Sprintf(format, args...))
}

// stopOne kills a process that records or shuts it down cleanly.
func (n *nameTest) stopOne(kill bool) {
	for c := range n.recording {
		delete(n.recording, c)
		if kill && !n.removed {
			n.log("kill")
			c.kill()
		} else {
			n.log("stop")
			c.stop()
		}
		n.collect(c, nil)
		break
	}
	if len(n.recording) == 0 {
		n.removed = false
	}
}

// collect remembers what a process has acknowledged.
func (n *nameTest) collect(c *child, err error) {
	lines := c.output()
	if err != nil {
		n.refused++
		n.log("refused: %s", strings.TrimSpace(c.stderr.String()))
	}
	n.acknowledged = append(n.acknowledged, slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l == "begin" })...)
}

// remove removes a companion file of the store while a process records.
func (n *nameTest) remove() {
	for _, name := range n.recording {
		suffix := []string{"-wal", "-shm", "-lock"}[n.random.IntN(3)]
		n.log("remove %s of %s", suffix, name)
		os.Remove(name + suffix)
		n.removed = n.removed || suffix == "-wal"
	}
}

// check reads the store by the first name that is not refused, and returns an error if
// anything is lost.
func (n *nameTest) check(t *testing.T) error {
	n.random.Shuffle(len(n.names), func(i, j int) { n.names[i], n.names[j] = n.names[j], n.names[i] })
	var refusals []string
	for _, name := range n.names {
		c := startChild(t, n.trust+"read "+name)
		if err := c.wait(); err != nil {
			refusals = append(refusals, name+": "+c.stderr.String())
			continue
		}
		got, lost := map[string]bool{}, 0
		for _, line := range c.output() {
			got[line] = true
		}
		for _, id := range n.acknowledged {
			if !got[id] {
				lost++
			}
		}
		if lost > 0 {
			return fmt.Errorf("read by %s: lost %d of %d", name, lost, len(n.acknowledged))
		}
		var found string
		if err := raw(t, name).QueryRow("PRAGMA integrity_check").Scan(&found); err != nil || found != "ok" {
			return fmt.Errorf("integrity check: got %q (error %w), want ok", found, err)
		}
		return nil
	}
	return fmt.Errorf("no name can be opened: %s", strings.Join(refusals, "; "))
}
