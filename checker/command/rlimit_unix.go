//go:build !windows

package command

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// openFiles is how many files and connections the process may have open. The Go
// runtime has raised that to what it may be raised to.
func openFiles() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxInt32
	}
	return int(min(limit.Cur, math.MaxInt32))
}

// processHazards describes what about this process endangers the store, in a sentence each.
func processHazards() (all []string) {
	if os.Geteuid() == 0 {
		all = append(all, "relcheck runs as root: run it as a user of its own, to whom the store and its folder belong")
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil && limit.Cur > 0 {
		all = append(all, "core dumps are on, and a dump holds reports and secrets: switch them off, with ulimit -c 0, LimitCORE=0 in systemd or --ulimit core=0 in Docker")
	}
	return all
}
