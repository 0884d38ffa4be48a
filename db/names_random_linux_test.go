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

var sequences = flag.Int("sequences", unlessRace(4, 2), "how many random sequences of processes use one store by several names; make test-crash takes 100")

// Whatever processes do with one store by whatever names, and whenever they are
// killed: what was acknowledged is there, or they refuse.
func TestRandomNames(t *testing.T) {
	t.Parallel()
	acknowledged, refused := 0, 0
	for i := range *sequences {
		n := newNaming(t, uint64(i), "")
		if err := n.run(t, 8); err != nil {
			t.Fatalf("sequence %d: %v\n%s", i, err, strings.Join(n.acts, "\n"))
		}
		acknowledged += len(n.acknowledged)
		refused += n.refused
	}
	t.Logf("%d reports and changes acknowledged, %d times refused", acknowledged, refused)
	if acknowledged < 10**sequences || refused < *sequences/2 {
		t.Error("this was no load")
	}
}

// The control: the same sequences destroy the store of processes that do not look for
// other names.
func TestRandomNamesControl(t *testing.T) {
	t.Parallel()
	for i := range 40 {
		n := newNaming(t, uint64(i), "trusting ")
		if err := n.run(t, 8); err != nil {
			t.Logf("sequence %d: %v", i, err)
			return
		}
	}
	t.Error("nothing was lost")
}

// naming is one store, its names, and the processes that use it.
type naming struct {
	random       *rand.Rand
	trust        string
	names        []string
	recording    map[*child]string // by which name
	removed      bool              // a file of the log was, so that a kill would lose what is in it
	acknowledged []string
	refused      int
	acts         []string
}

func newNaming(t testing.TB, seed uint64, trust string) *naming {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.db")
	open(t, path).Close()
	n := &naming{random: rand.New(rand.NewPCG(1, seed)), trust: trust, names: []string{path, path}, recording: map[*child]string{}}
	for _, alias := range []string{"hard link", "hard link beside it", "mount of the file", "mount of the folder", "symbolic link to the file"} {
		n.names = append(n.names, aliases[alias].make(t, path))
	}
	return n
}

// run has so many things done, and returns an error if anything is lost.
func (n *naming) run(t *testing.T, acts int) error {
	for range acts {
		name := n.names[n.random.IntN(len(n.names))]
		switch act := n.random.IntN(10); {
		case act < 4:
			n.say("record by %s", name)
			if c := runChild(t, n.trust+"record "+name); c.begins() {
				n.recording[c] = name
			} else {
				n.ended(c, c.wait())
			}
		case act < 7:
			n.say("change by %s", name)
			c := runChild(t, n.trust+"change "+name)
			n.ended(c, c.wait())
		case act < 9:
			n.end(n.random.IntN(3) > 0)
		default:
			n.remove()
		}
		time.Sleep(time.Duration(n.random.IntN(30)) * time.Millisecond) // under load meanwhile
	}
	for len(n.recording) > 0 {
		n.end(n.random.IntN(2) > 0)
	}
	return n.check(t)
}

func (n *naming) say(format string, args ...any) {
	n.acts = append(n.acts, fmt.Sprintf(format, args...))
}

// end ends one process that records, by killing it or in good order.
func (n *naming) end(kill bool) {
	for c := range n.recording {
		delete(n.recording, c)
		if kill && !n.removed {
			n.say("kill")
			c.kill()
		} else {
			n.say("stop")
			c.stop()
		}
		n.ended(c, nil)
		break
	}
	if len(n.recording) == 0 {
		n.removed = false
	}
}

// ended counts what a process has acknowledged.
func (n *naming) ended(c *child, err error) {
	lines := c.lines()
	if err != nil {
		n.refused++
		n.say("refused: %s", strings.TrimSpace(c.errs.String()))
	}
	n.acknowledged = append(n.acknowledged, slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l == "begin" })...)
}

// remove removes a file beside the store from under a process that records.
func (n *naming) remove() {
	for _, name := range n.recording {
		suffix := []string{"-wal", "-shm", "-lock"}[n.random.IntN(3)]
		n.say("remove %s of %s", suffix, name)
		os.Remove(name + suffix)
		n.removed = n.removed || suffix == "-wal"
	}
}

// Check reads the store by the names in turn until one is not refused.
func (n *naming) check(t *testing.T) error {
	n.random.Shuffle(len(n.names), func(i, j int) { n.names[i], n.names[j] = n.names[j], n.names[i] })
	var why []string
	for _, name := range n.names {
		c := runChild(t, n.trust+"read "+name)
		if err := c.wait(); err != nil {
			why = append(why, name+": "+c.errs.String())
			continue
		}
		there, lost := map[string]bool{}, 0
		for _, line := range c.lines() {
			there[line] = true
		}
		for _, id := range n.acknowledged {
			if !there[id] {
				lost++
			}
		}
		if lost > 0 {
			return fmt.Errorf("read by %s: %d of %d lost", name, lost, len(n.acknowledged))
		}
		var found string
		if err := raw(t, name).QueryRow("PRAGMA integrity_check").Scan(&found); err != nil || found != "ok" {
			return fmt.Errorf("integrity check: %s, %w", found, err)
		}
		return nil
	}
	return fmt.Errorf("it opens by no name: %s", strings.Join(why, "; "))
}
