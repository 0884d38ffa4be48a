package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// nobody is the user that servers run as where the tests run as root.
func nobody() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("a user other than root: %w", exec.ErrNotFound)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// Folder makes a temporary folder that belongs to the user of [Unprivileged].
func Folder() (string, error) {
	who, err := nobody()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "relcheck-test-")
	if err == nil && who != nil {
		err = os.Chown(dir, int(who.Uid), int(who.Gid))
	}
	return dir, err
}

// Unprivileged is a command that runs as a user without rights. With [Start] it
// does not outlive the tests, however they end.
func Unprivileged(program string, args ...string) (*exec.Cmd, error) {
	who, err := nobody()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Pdeathsig: syscall.SIGQUIT}
	return cmd, nil
}
