package faultfs

import (
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sectorSize is the number of bytes that a disk writes atomically.
const sectorSize = 512

// Replay replays the recorded operations of a disk, and creates images of what the disk
// may contain if the power fails at the current position.
type Replay struct {
	operations     []operation
	position       int
	random         *rand.Rand
	files          map[int]*file
	names          map[string]int // inodes of the files whose directory entries are synced
	pendingEntries []*operation   // changes of directory entries since the directory was synced
}

// file is the content of a file.
type file struct {
	synced  []byte
	pending []*operation // operations since it was synced
}

// Replay returns a replay of all operations so far, at position 0. Random choices come
// from random.
func (d *Disk) Replay(random *rand.Rand) *Replay {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Replay{operations: d.operations[:len(d.operations):len(d.operations)], random: random, files: map[int]*file{}, names: map[string]int{}}
}

// To advances to position n and calls f for each mark that it passes.
func (r *Replay) To(n int, f func(mark any)) {
	for ; r.position < min(n, len(r.operations)); r.position++ {
		o := &r.operations[r.position]
		switch o.kind {
		case mark:
			f(o.mark)
		case create:
			r.files[o.inode] = new(file)
			r.pendingEntries = append(r.pendingEntries, o)
		case link, Delete:
			r.pendingEntries = append(r.pendingEntries, o)
		case syncDir:
		case Sync:
			r.sync(r.files[o.inode], o.syncFailed)
		default:
			r.files[o.inode].pending = append(r.files[o.inode].pending, o)
		}
		if o.dirSynced {
			r.updateEntries(r.names, always)
			r.pendingEntries = nil
		}
	}
}

// Position returns the number of operations and marks that the replay has passed.
func (r *Replay) Position() int { return r.position }

// sync makes the pending operations of a file durable. A failed sync makes a random part
// of them durable; the rest is lost, because no later sync writes it.
func (r *Replay) sync(f *file, failed bool) {
	survives := always
	if failed {
		survives = func(*operation, int64) bool { return r.random.IntN(2) == 0 }
	}
	f.synced = f.apply(f.synced, survives)
	f.pending = nil
}

// survival decides whether an operation is part of an image. It decides for each sector
// of a write.
type survival func(o *operation, sector int64) bool

func always(*operation, int64) bool { return true }
func never(*operation, int64) bool  { return false }

// survivals lists how unsynced operations may reach the disk. Torn writes are the most
// frequent.
var survivals = []func(*rand.Rand) survival{
	func(*rand.Rand) survival { return never },
	func(*rand.Rand) survival { return always },
	reordered, torn, torn,
}

// reordered lets a random subset of the operations survive, regardless of their order.
func reordered(random *rand.Rand) survival {
	probability, drawn := random.Float64(), map[*operation]bool{}
	return func(o *operation, _ int64) bool {
		survives, ok := drawn[o]
		if !ok {
			survives = random.Float64() < probability
			drawn[o] = survives
		}
		return survives
	}
}

// torn leaves each sector as it was at some time since it was synced.
func torn(random *rand.Rand) survival {
	type key struct {
		inode  int
		sector int64
	}
	probability, stopped := 0.5*random.Float64(), map[key]bool{}
	return func(o *operation, sector int64) bool {
		k := key{o.inode, sector}
		stopped[k] = stopped[k] || random.Float64() < probability
		return !stopped[k]
	}
}

// Image writes a possible content of the disk after a power failure into a directory.
// Each call creates a different image.
func (r *Replay) Image(dir string) error {
	survives := survivals[r.random.IntN(len(survivals))](r.random)
	names := maps.Clone(r.names)
	r.updateEntries(names, survives)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(names)) { // sorted, so that the random choices are repeatable
		f := r.files[names[name]]
		data := f.apply(append([]byte(nil), f.synced...), survives)
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), data, 0o600))
		if database, ok := strings.CutSuffix(name, "-wal"); ok && r.random.IntN(2) == 0 {
			errs = append(errs, os.WriteFile(filepath.Join(dir, database+"-shm"), r.garbage(32<<10), 0o600))
		}
	}
	return errors.Join(errs...)
}

// garbage returns random bytes, as shared memory may contain after a power failure.
func (r *Replay) garbage(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.random.Uint32())
	}
	return b
}

// updateEntries applies the pending changes of directory entries that survive to names.
func (r *Replay) updateEntries(names map[string]int, survives survival) {
	for i, o := range r.pendingEntries {
		switch {
		case !survives(o, int64(-1-i)): // each entry has its own sector number
		case o.kind == Delete:
			if names[o.name] == o.inode {
				delete(names, o.name)
			}
		default:
			names[o.name] = o.inode
		}
	}
}

// apply applies the pending operations that survive to data.
func (f *file) apply(data []byte, survives survival) []byte {
	for _, o := range f.pending {
		if o.kind == Truncate {
			if survives(o, 0) {
				data = resize(data, int(o.offset))
			}
			continue
		}
		for from := 0; from < len(o.data); {
			at := int(o.offset) + from
			n := min(len(o.data)-from, sectorSize-at%sectorSize)
			if survives(o, int64(at/sectorSize)) {
				data = resize(data, max(len(data), at+n))
				copy(data[at:], o.data[from:from+n])
			}
			from += n
		}
	}
	return data
}

func resize(data []byte, size int) []byte {
	if size <= len(data) {
		return data[:size]
	}
	return append(data, make([]byte, size-len(data))...)
}
