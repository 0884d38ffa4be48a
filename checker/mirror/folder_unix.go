//go:build !windows

package mirror

import (
	"cmp"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func syncNames(folder *os.File) error { return folder.Sync() }

// shard is an open subfolder of contents.
type shard = os.File

func openShard(root *os.Root, name string) (*shard, error) { return root.Open(name) }

// openContent opens a file of a shard. It takes two system calls; [os.Root] takes six,
// because it does not know that the file cannot be polled.
func openContent(s *shard, sum string) (file *os.File, err error) {
	conn, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	controlErr := conn.Control(func(folder uintptr) {
		fd := -1
		for err = syscall.EINTR; err == syscall.EINTR; {
			fd, err = unix.Openat(int(folder), sum, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		}
		if err == nil {
			file = os.NewFile(uintptr(fd), sum)
		}
	})
	return file, cmp.Or(err, controlErr)
}
