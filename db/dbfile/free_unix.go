//go:build linux || darwin || freebsd

package dbfile

import "golang.org/x/sys/unix"

// Space returns the number of bytes that can be written to a folder, and the size of its
// file system, if known.
func Space(folder string) (free, total int64, known bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize), true
}
