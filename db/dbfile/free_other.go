//go:build !linux && !darwin && !freebsd && !windows

package dbfile

// Space returns the number of bytes that can be written to a folder, and the size of its
// file system, if known.
func Space(string) (free, total int64, known bool) { return 0, 0, false }
