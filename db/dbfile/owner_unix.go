//go:build !windows

package dbfile

import (
	"os"
	"syscall"
)

// Owner is the number of the user that a file belongs to.
func Owner(info os.FileInfo) (user int, known bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}

// group is the number of the group that a file belongs to.
func group(info os.FileInfo) int {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(s.Gid)
}

// hardLinks is how many names a file has.
func hardLinks(info os.FileInfo) int {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return int(s.Nlink)
}

// NoFollow is the flags with which opening a symbolic link fails, and opening a pipe does not wait.
const NoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
