//go:build !windows

package db

import (
	"os"
	"syscall"
)

// owner is the number of the user that a file belongs to.
func owner(info os.FileInfo) (user int, known bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}
