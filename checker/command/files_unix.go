//go:build !windows

package command

import (
	"math"

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
