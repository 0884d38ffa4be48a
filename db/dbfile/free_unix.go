//go:build linux || darwin || freebsd

package dbfile

import "golang.org/x/sys/unix"

// FreeSpace returns the number of bytes that can be written to a folder, if known.
func FreeSpace(folder string) (bytes int64, known bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
