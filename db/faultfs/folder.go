package faultfs

import (
	"os"
	"path/filepath"
	"syscall"
)

// Harden is what (*os.File).Sync is to a disk: for files that SQLite has written and
// has open no more, and for the folder itself.
func Harden(f *os.File) error {
	d, folder := diskOf(f.Name()), false
	if watched, ok := disks.Load(f.Name()); ok {
		d, folder = watched.(*Disk), true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	code, part := d.befalls(Sync)
	inode, known := d.names[filepath.Base(f.Name())]
	switch {
	case folder:
		d.done = append(d.done, operation{kind: settle, folder: code == 0})
	case known:
		d.done = append(d.done, operation{kind: Sync, inode: inode, failed: code != 0 && part != All})
	}
	if code != 0 {
		return &os.PathError{Op: "sync", Path: f.Name(), Err: syscall.EIO}
	}
	return nil
}

// Link is os.Link in one folder.
func Link(from, to string) error {
	d := diskOf(from)
	d.mu.Lock()
	defer d.mu.Unlock()
	err := os.Link(from, to)
	if inode, known := d.names[filepath.Base(from)]; known && err == nil {
		d.names[filepath.Base(to)] = inode
		d.done = append(d.done, operation{kind: linked, inode: inode, name: filepath.Base(to)})
	}
	return err
}
