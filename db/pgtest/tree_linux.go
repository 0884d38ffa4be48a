package pgtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// endsWithTests makes a command get a signal when the tests are gone, in place
// of the one of [Unprivileged].
func endsWithTests(cmd *exec.Cmd, by syscall.Signal) { cmd.SysProcAttr.Pdeathsig = by }

// killTree kills processes and all that descend from them at once, as the end
// of a machine does. Each is stopped before any is killed, and so none gets to
// see another one's end, or to start a new one.
func killTree(roots ...int) {
	stopped := map[int]bool{}
	for grown := true; grown; {
		grown = false
		for _, pid := range descendants(roots) {
			if !stopped[pid] {
				stopped[pid], grown = true, true
				syscall.Kill(pid, syscall.SIGSTOP)
			}
		}
	}
	for pid := range stopped {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	for pid := range stopped {
		for deadline := time.Now().Add(10 * time.Second); alive(pid) && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// descendants lists the processes that live, the given ones among them.
func descendants(roots []int) (all []int) {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if p, ok := readStat(pid); ok {
			children[p.parent] = append(children[p.parent], pid)
		}
	}
	for _, pid := range roots {
		if alive(pid) {
			all = append(all, pid)
		}
	}
	for i := 0; i < len(all); i++ {
		for _, pid := range children[all[i]] {
			if !slices.Contains(all, pid) {
				all = append(all, pid)
			}
		}
	}
	return all
}

// alive reports whether a process runs. One that nobody has waited for does not.
func alive(pid int) bool {
	p, ok := readStat(pid)
	return ok && p.state != "Z"
}

// stat is what the system tells of a process.
type stat struct {
	name, state string
	parent      int
}

func readStat(pid int) (s stat, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')') // the name may have any of them in it
	if err != nil || open < 0 || end < open {
		return s, false
	}
	fields := bytes.Fields(text[end+1:])
	if len(fields) < 2 {
		return s, false
	}
	s.name, s.state = string(text[open+1:end]), string(fields[0])
	s.parent, err = strconv.Atoi(string(fields[1]))
	return s, err == nil
}

// isPostgres reports whether a process is one of PostgreSQL: the number that a
// file tells may have become another one's.
func isPostgres(pid int) bool {
	p, ok := readStat(pid)
	return ok && p.name == "postgres"
}
