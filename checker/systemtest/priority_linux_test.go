package systemtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// niceness lists how nice the threads of a process are; nothing once it has ended.
func niceness(pid int) (all []int) {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if n, err := strconv.Atoi(fields[16]); err == nil && fields[0] != "Z" {
			all = append(all, n)
		}
	}
	return all
}

// mildest is how nice the threads of a process are at least, and how many it has.
func mildest(pid int) (least, threads int) {
	all := niceness(pid)
	if len(all) == 0 {
		return 0, 0
	}
	return slices.Min(all), len(all)
}

// Whoever makes a backup, or looks into a store, takes what a server leaves of the
// processors. The control, a server, takes as much as it gets.
func TestGivesWay(t *testing.T) {
	store := filled(t, *backedUp)
	own, _ := mildest(os.Getpid())
	if own >= 19 {
		t.Skip("missing: a priority that can still be lowered; run this less nicely")
	}
	served := serve(t, store)
	if nice, _ := mildest(served.cmd.Process.Pid); nice != own {
		t.Errorf("a server has become %d nice, of %d", nice, own)
	}
	for _, command := range []string{"backup", "doctor"} {
		nicest := own
		for end := time.Now().Add(20 * time.Second); nicest == own && time.Now().Before(end); {
			args := []string{command, "--db", store}
			if command == "backup" {
				args = append(args, filepath.Join(t.TempDir(), "backup.db"))
			}
			nicest = nicestOf(t, args...)
		}
		if want := min(own+10, 19); nicest != want {
			t.Errorf("%s is %d nice, and was begun %d nice", command, nicest, own)
		}
	}
}

// nicestOf runs a command, and returns how nice all of it was at some time. Of that
// the times do not tell at which it had fewer threads than it came to have: it had
// just begun, or was about to end.
func nicestOf(t *testing.T, args ...string) (nicest int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = environment("relcheck")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	most := 0
	for {
		switch nice, threads := mildest(cmd.Process.Pid); {
		case threads > most:
			most, nicest = threads, nice
		case threads == most && most > 0:
			nicest = max(nicest, nice)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("relcheck %s: %v", strings.Join(args, " "), err)
			}
			return nicest
		case <-time.After(time.Millisecond):
		}
	}
}
