package dbfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Undetectable describes what cannot be detected on this file system, or returns "".
func (h *Handle) Undetectable() string {
	openFiles.Lock()
	defer openFiles.Unlock()
	switch kind := fileSystem(h.path); {
	case kind != "" && kind != overlay:
		return "the store is on a file system of type " + kind + ": relcheck cannot detect processes on other machines that have it open, and SQLite needs a local disk"
	case !h.locked:
		return fmt.Sprintf("relcheck cannot detect on this file system whether a process has the file open under another name (%v): use one path only, and in a container mount the folder, not the file", h.lockErr)
	case kind == overlay:
		return "the store is on an overlay file system, such as a container's own layer: it is lost with the container, and relcheck cannot detect a process that opens it in another layer; put it on a volume"
	case h.lockErr != nil:
		return fmt.Sprintf("relcheck cannot detect on this file system whether a killed process has left a write-ahead log under another name (%v)", h.lockErr)
	}
	return ""
}

// overlay is a file system whose layers share neither locks nor memory with processes that
// open a file in one of them.
const overlay = "overlay"

// fileSystem returns the type of the file system that has a file, if relcheck cannot detect
// all processes that open it there: on other machines, or in a layer of an overlay.
func fileSystem(path string) string {
	var s unix.Statfs_t
	if unix.Statfs(path, &s) != nil {
		return ""
	}
	return map[int64]string{unix.NFS_SUPER_MAGIC: "nfs", unix.SMB_SUPER_MAGIC: "smb", unix.SMB2_SUPER_MAGIC: "smb", unix.CIFS_SUPER_MAGIC: "cifs",
		unix.FUSE_SUPER_MAGIC: "fuse", unix.V9FS_MAGIC: "9p", unix.AFS_SUPER_MAGIC: "afs", unix.CEPH_SUPER_MAGIC: "ceph",
		unix.OVERLAYFS_SUPER_MAGIC: overlay}[int64(uint32(s.Type))]
}

// isMountPoint reports whether a file, open as file, is mounted on its path.
func isMountPoint(file *os.File, path string) bool {
	var it, folder unix.Statx_t
	err := unix.Statx(int(file.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &it)
	err2 := unix.Statx(unix.AT_FDCWD, filepath.Dir(path), 0, unix.STATX_MNT_ID, &folder)
	if err == nil && err2 == nil && it.Mask&folder.Mask&unix.STATX_MNT_ID != 0 {
		return it.Mnt_id != folder.Mnt_id
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo") // for kernels before 5.8
	return isMounted(string(mounts), path)
}

func isMounted(mounts, path string) bool {
	escaped := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`).Replace(path)
	for line := range strings.Lines(mounts) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == escaped {
			return true
		}
	}
	return false
}
