//go:build !linux && !darwin && !freebsd && !windows

package dbfile

// FreeSpace returns the number of bytes that can be written to a folder, if known.
func FreeSpace(string) (bytes int64, known bool) { return 0, false }
