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

// group returns the ID of the group of a file.
func group(info os.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Gid)
	}
	return -1
}

// hardLinks returns the number of names of a file.
func hardLinks(info os.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Nlink)
	}
	return 1
}

// NoFollow are flags with which opening a symbolic link fails and opening a pipe does not
// block.
const NoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
