package faultfs

import (
	"os"
	"path/filepath"
	"syscall"
)

// SyncFile replaces (*os.File).Sync. It accepts the directory of a disk and files that
// SQLite has written and closed.
func SyncFile(f *os.File) error {
	d, isDir := diskOf(f.Name()), false
	if watched, ok := disks.Load(f.Name()); ok {
		d, isDir = watched.(*Disk), true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	code, part := d.count(Sync)
	inode, known := d.names[filepath.Base(f.Name())]
	switch {
	case isDir:
		d.operations = append(d.operations, operation{kind: syncDir, dirSynced: code == 0})
	case known:
		d.operations = append(d.operations, operation{kind: Sync, inode: inode, syncFailed: code != 0 && part != All})
	}
	if code != 0 {
		return &os.PathError{Op: "sync", Path: f.Name(), Err: syscall.EIO}
	}
	return nil
}

// Link replaces os.Link within the directory of a disk.
func Link(from, to string) error {
	d := diskOf(from)
	d.mu.Lock()
	defer d.mu.Unlock()
	err := os.Link(from, to)
	if inode, known := d.names[filepath.Base(from)]; known && err == nil {
		d.names[filepath.Base(to)] = inode
		d.operations = append(d.operations, operation{kind: link, inode: inode, name: filepath.Base(to)})
	}
	return err
}
