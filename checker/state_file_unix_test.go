//go:build !windows

package checker

import (
	"errors"
	"os"
	"syscall"
)

// addPipes adds named pipes, which block a process that opens them.
func addPipes(files map[string]func(path string) error) {
	pipe := func(path string) error { return syscall.Mkfifo(path, 0o600) }
	files["pipe"] = pipe
	files["lock is a pipe"] = func(path string) error {
		return errors.Join(os.WriteFile(path, nil, 0o600), pipe(path+".lock"))
	}
}
