//go:build !windows

package dbfile

import (
	"os"
	"syscall"
)

// Owner returns the user ID of the owner of a file.
func Owner(info os.FileInfo) (user int, known bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}

// group returns the ID of the group of a file.
func group(info os.FileInfo) int {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(s.Gid)
}

// hardLinks returns the number of names of a file.
func hardLinks(info os.FileInfo) int {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return int(s.Nlink)
}

// NoFollow are flags with which opening a symbolic link fails and opening a pipe does not
// block.
const NoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
