// Package faultfs is a disk for tests, between SQLite and the file system. It
// fails when it is told to, and knows what a power cut may leave behind.
//
// SQLite reaches it as the VFS called [Name]. A [Disk] watches one folder. It
// keeps all that SQLite does to the files there, in order, and [Disk.Replay]
// makes images of the folder from it: what was synced is there; of the rest, any
// part may be. Of the files' entries in their folder it assumes what POSIX says:
// a file that was created or deleted may not be, or be there still, until the
// folder itself is synced. SQLite does that when it first syncs a journal or a
// log, and when it deletes with its flag for that; syncing a file alone is not
// taken to harden its entry, although most file systems do so.
//
// Shared memory (-shm) is not watched: a power cut may leave anything in it.
// Nothing is ever really synced, so that tests take little time: they end
// processes, not the machine.
package faultfs

import (
	"os"
	"path/filepath"
	"sync"
)

// Kind is what is done to a file.
type Kind int

// The kinds of operations. Of those before Write no image depends; they can fail.
const (
	Open Kind = iota
	Read
	Write
	Truncate
	Sync
	Delete
	create // a file came to be by opening it
	linked // a file was given another name
	settle // the folder was synced
	note
)

// operation is one that was done, in part at least.
type operation struct {
	kind   Kind
	inode  int    // of the file
	name   string // in the folder; of create, linked and Delete
	offset int64  // of Write; of Truncate, the size
	data   []byte // of Write
	folder bool   // the folder was synced, too
	failed bool   // of Sync: it was said not to be done
	note   any
}

// Disk watches the files of a folder. It is safe for concurrent use.
type Disk struct {
	folder string

	mu     sync.Mutex
	done   []operation
	names  map[string]int // the inodes of the files that are there
	inodes int            // how many there ever were
	count  map[Kind]int   // of operations since the last Fail, failed ones too
	fault  *Fault
	failed int
}

var disks sync.Map // *Disk by folder

// Watch begins to watch a folder, until Close. Files that are there already count
// as synced; SQLite must not have them open.
func Watch(folder string) (*Disk, error) {
	d := newDisk(folder)
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(folder, f.Name()))
		if err != nil {
			return nil, err
		}
		inode := d.create(f.Name())
		d.done = append(d.done, operation{kind: Write, inode: inode, data: data}, operation{kind: Sync, inode: inode, folder: true})
	}
	disks.Store(folder, d)
	return d, register()
}

func newDisk(folder string) *Disk {
	return &Disk{folder: folder, names: map[string]int{}, count: map[Kind]int{}}
}

// Close ends the watch. What was done can still be replayed.
func (d *Disk) Close() { disks.Delete(d.folder) }

// Note puts a mark between what was done before and what is done after. A replay
// gives it back when it gets there.
func (d *Disk) Note(mark any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = append(d.done, operation{kind: note, note: mark})
}

// Len is how many operations and notes there were.
func (d *Disk) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.done)
}

func (d *Disk) create(name string) (inode int) {
	d.inodes++
	d.names[name] = d.inodes
	d.done = append(d.done, operation{kind: create, inode: d.inodes, name: name})
	return d.inodes
}

// opened returns the inode of a file that was opened, by that perhaps created.
func (d *Disk) opened(name string) (inode int) {
	if inode, ok := d.names[name]; ok {
		return inode
	}
	return d.create(name)
}

func (d *Disk) deleted(name string, folder bool) {
	d.done = append(d.done, operation{kind: Delete, inode: d.names[name], name: name, folder: folder})
	delete(d.names, name)
}
