//go:build !windows

package command

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// maxOpenFiles returns how many files and connections the process may have open. The
// Go runtime has already raised the soft limit to the hard limit.
func maxOpenFiles() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxInt32
	}
	return int(min(limit.Cur, math.MaxInt32))
}

// processHazards describes properties of this process that endanger the store, one
// sentence each.
func processHazards() (all []string) {
	if os.Geteuid() == 0 {
		all = append(all, "relcheck runs as root: run it as a dedicated user that owns the store and its folder")
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil && limit.Cur > 0 {
		all = append(all, "core dumps are enabled and would contain reports and secrets: disable them with ulimit -c 0, LimitCORE=0 in systemd or --ulimit core=0 in Docker")
	}
	return all
}
