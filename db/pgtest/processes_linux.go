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

// signalOnParentExit sets the signal that a command receives when the tests end.
func signalOnParentExit(cmd *exec.Cmd, sig syscall.Signal) { cmd.SysProcAttr.Pdeathsig = sig }

// killTree kills processes with all their descendants at once, like the failure of a
// machine. It stops every process before it kills the first one, so that no process can
// react to the end of another or start a new one.
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

// descendants returns the running processes among roots, and all their descendants.
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

// alive reports whether a process is running. A zombie is not.
func alive(pid int) bool {
	p, ok := readStat(pid)
	return ok && p.state != "Z"
}

// procStat is part of /proc/PID/stat.
type procStat struct {
	name, state string
	parent      int
}

func readStat(pid int) (s procStat, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')') // the name may contain parentheses
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

// isPostgres reports whether a process is a PostgreSQL process. The process ID in a file
// may belong to another process by now.
func isPostgres(pid int) bool {
	p, ok := readStat(pid)
	return ok && p.name == "postgres"
}
