//go:build !linux

package pgtest

import (
	"os"
	"os/exec"
)

// tempDir creates a temporary directory.
func tempDir() (string, error) { return os.MkdirTemp("", "relcheck-test-") }

// command returns a command that runs as the user of the tests.
func command(program string, args ...string) (*exec.Cmd, error) {
	return exec.Command(program, args...), nil
}
