//go:build !windows

package dbfile

import (
	"os"
	"syscall"
)

// Owner returns the user ID of the owner of a file.
func Owner(info os.FileInfo) (user int, known bool) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid), true
	}
	return 0, false
}

func group(info os.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Gid)
	}
	return -1
}

func hardLinks(info os.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Nlink)
	}
	return 1
}

// NoFollow are flags with which opening a symbolic link fails and opening a pipe does not
// block.
const NoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
