//go:build !linux

package db

import (
	"os"
)

// hold lets this process use a database file. Other names of a file are detected
// on Linux only.
type hold struct{ lost bool }

func tryHold(path string, use use, _ bool) (*hold, error) {
	_, err := os.Lstat(path)
	if err == nil || use == forCreating {
		return &hold{}, nil
	}
	return nil, err
}

func (h *hold) again() *hold     { return h }
func (h *hold) logOpened() error { return nil }
func (h *hold) record() error    { return nil }
func (h *hold) stopRecording()   {}
func (h *hold) mounted() bool    { return false }
func (h *hold) release()         {}

// blind describes what this system cannot detect.
func (h *hold) blind() string {
	return "whether a process has the file open under another name cannot be detected on this system: use one path only, and in a container mount the folder, not the file"
}
