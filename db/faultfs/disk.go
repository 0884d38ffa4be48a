// Package faultfs simulates a disk below SQLite for tests. It can make operations fail,
// and knows what a disk may contain after a power failure.
//
// SQLite uses it as the VFS called [Name]. A [Disk] watches one directory and records all
// operations of SQLite on its files, in order. [Disk.Replay] creates images of the
// directory from the record: an image contains everything that was synced, and any part
// of the rest. For directory entries it assumes only what POSIX guarantees: until the
// directory itself is synced, a created file may be missing and a deleted file may still
// exist. SQLite syncs the directory when it first syncs a journal or WAL, and when it
// deletes a file with the syncDir flag. Most file systems make the entry of a file
// durable when the file itself is synced, but faultfs does not rely on it.
//
// faultfs does not watch shared memory (-shm), which may contain anything after a power
// failure. Nothing is really synced, so that tests take little time: they end processes
// and not the machine.
package faultfs

import (
	"os"
	"path/filepath"
	"sync"
)

// Kind is a kind of operation.
type Kind int

// The kinds of operations. Open and Read can fail but do not affect images.
const (
	Open Kind = iota
	Read
	Write
	Truncate
	Sync
	Delete
	create  // opening a file has created it
	link    // a file got another name
	syncDir // the directory was synced
	mark
)

// operation is a recorded operation that was done, at least in part.
type operation struct {
	kind       Kind
	inode      int    // of the file
	name       string // of the file in the directory, for create, link and Delete
	offset     int64  // for Write; the size for Truncate
	data       []byte // for Write
	dirSynced  bool   // the operation also synced the directory
	syncFailed bool   // for Sync: it returned an error and may be incomplete
	mark       any
}

// Disk watches the files of a directory. It is safe for concurrent use.
type Disk struct {
	dir string

	mu         sync.Mutex
	operations []operation
	names      map[string]int // inodes of the existing files
	inodes     int            // number of files ever created
	counts     map[Kind]int   // operations since the last Inject, including failed ones
	fault      *Fault
	failed     int
}

var disks sync.Map // *Disk by directory

// Watch watches a directory until Close. Existing files count as synced; SQLite must not
// have them open.
func Watch(dir string) (*Disk, error) {
	d := newDisk(dir)
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		inode := d.create(f.Name())
		d.operations = append(d.operations, operation{kind: Write, inode: inode, data: data}, operation{kind: Sync, inode: inode, dirSynced: true})
	}
	disks.Store(dir, d)
	return d, register()
}

func newDisk(dir string) *Disk {
	return &Disk{dir: dir, names: map[string]int{}, counts: map[Kind]int{}}
}

// Close stops watching. The recorded operations can still be replayed.
func (d *Disk) Close() { disks.Delete(d.dir) }

// Mark records a value between the operations before and after the call. A replay
// returns the value when it reaches that point.
func (d *Disk) Mark(value any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.operations = append(d.operations, operation{kind: mark, mark: value})
}

// Len returns the number of recorded operations and marks.
func (d *Disk) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.operations)
}

func (d *Disk) create(name string) (inode int) {
	d.inodes++
	d.names[name] = d.inodes
	d.operations = append(d.operations, operation{kind: create, inode: d.inodes, name: name})
	return d.inodes
}

// opened returns the inode of a file that was opened, and creates it if it is new.
func (d *Disk) opened(name string) (inode int) {
	if inode, ok := d.names[name]; ok {
		return inode
	}
	return d.create(name)
}

func (d *Disk) deleted(name string, dirSynced bool) {
	d.operations = append(d.operations, operation{kind: Delete, inode: d.names[name], name: name, dirSynced: dirSynced})
	delete(d.names, name)
}
