//go:build unix && !aix && !solaris

package checker

import (
	"os"
	"syscall"
)

// noFollow are flags for opening a file that might have been replaced by a link or pipe.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// openLock opens a lock file and locks it without waiting, until it is closed or the
// process ends.
func openLock(path string, flag int) (*os.File, error) {
	f, err := openRegular(path, os.O_RDWR|flag)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return f, nil
}
