//go:build !linux

package dbfile

import "os"

// Handle is a database file that SQLite may open. See [Open]. Other names of a file are
// detected on Linux only.
type Handle struct{}

func tryOpen(path string, use Mode, _ bool) (*Handle, error) {
	_, err := os.Lstat(path)
	if err == nil || use == Create {
		return &Handle{}, nil
	}
	return nil, err
}

func (h *Handle) Clone() *Handle       { return h }
func (h *Handle) WALOpened() error     { return nil }
func (h *Handle) LockRecording() error { return nil }
func (h *Handle) UnlockRecording()     {}
func (h *Handle) IsMountPoint() bool   { return false }
func (h *Handle) WALLost() bool        { return false }
func (h *Handle) Release()             {}

// Undetectable describes what this system cannot detect.
func (h *Handle) Undetectable() string {
	return "relcheck cannot detect on this system whether a process has the file open under another name: use one path only, and in a container mount the folder, not the file"
}
