package systemtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// resident returns the memory of a process in bytes.
func resident(t testing.TB, pid int) int64 { return memoryOf(t, pid, "VmRSS") }

// mostResident returns the peak memory of a process in bytes.
func mostResident(t testing.TB, pid int) int64 { return memoryOf(t, pid, "VmHWM") }

func memoryOf(t testing.TB, pid int, field string) int64 {
	t.Helper()
	n, err := readMemory(pid, field)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func readMemory(pid int, field string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "\n"+field+":")
	kb, _, _ := strings.Cut(strings.TrimSpace(rest), " kB")
	n, err := strconv.ParseInt(kb, 10, 64)
	return n << 10, err
}

// processorTime returns the CPU time of a process.
func processorTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	after := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err := strconv.Atoi(after[11])
	system, err2 := strconv.Atoi(after[12])
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * (time.Second / 100) // on all that Go runs on
}

// sockets returns the number of open sockets of a process.
func sockets(t testing.TB, pid int) (n int) {
	t.Helper()
	folder := fmt.Sprintf("/proc/%d/fd", pid)
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if to, err := os.Readlink(filepath.Join(folder, f.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// needFiles skips a test if a process may not have n open files.
func needFiles(t testing.TB, n int) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < uint64(n) {
		missing(t, fmt.Sprintf("open files: %d are allowed (ulimit -Hn) and %d are needed", limit.Cur, n))
	}
}
