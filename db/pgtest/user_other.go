//go:build !linux

package pgtest

import (
	"os"
	"os/exec"
)

// Folder makes a temporary folder.
func Folder() (string, error) { return os.MkdirTemp("", "relcheck-test-") }

// Unprivileged is a command of the user who runs the tests.
func Unprivileged(program string, args ...string) (*exec.Cmd, error) {
	return exec.Command(program, args...), nil
}
