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

// sector is how many bytes a disk writes whole or not at all.
const sector = 512

// Replay goes once more through what was done to a folder, and makes images of
// it: what the disk might hold if power had failed there.
type Replay struct {
	done   []operation
	next   int
	random *rand.Rand
	files  map[int]*content
	names  map[string]int // the inodes of the files whose entries are synced
	moves  []*operation   // created and deleted since
}

// content is that of a file.
type content struct {
	synced  []byte
	pending []*operation // what was done to it since
}

// Replay returns one that has everything before it. What is left to chance in it
// comes from random.
func (d *Disk) Replay(random *rand.Rand) *Replay {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Replay{done: d.done[:len(d.done):len(d.done)], random: random, files: map[int]*content{}, names: map[string]int{}}
}

// To goes on until n operations are done, and calls f with each note on the way.
func (r *Replay) To(n int, f func(mark any)) {
	for ; r.next < min(n, len(r.done)); r.next++ {
		o := &r.done[r.next]
		switch o.kind {
		case note:
			f(o.note)
		case create:
			r.files[o.inode] = new(content)
			r.moves = append(r.moves, o)
		case linked, Delete:
			r.moves = append(r.moves, o)
		case settle:
		case Sync:
			r.sync(r.files[o.inode], o.failed)
		default:
			r.files[o.inode].pending = append(r.files[o.inode].pending, o)
		}
		if o.folder {
			r.move(r.names, always)
			r.moves = nil
		}
	}
}

// At is how many operations and notes it has gone through.
func (r *Replay) At() int { return r.next }

// sync hardens a file. One that failed leaves of each write what chance will have,
// and no later one makes up for it.
func (r *Replay) sync(c *content, failed bool) {
	survives := always
	if failed {
		survives = func(*operation, int64) bool { return r.random.IntN(2) == 0 }
	}
	c.synced = c.with(c.synced, survives)
	c.pending = nil
}

// fate tells whether an operation is part of an image: of a write, each sector
// that it touches.
type fate func(o *operation, sector int64) bool

func always(*operation, int64) bool { return true }
func never(*operation, int64) bool  { return false }

// fates are the ways in which what is not synced may come to the disk.
var fates = []func(*rand.Rand) fate{
	func(*rand.Rand) fate { return never },
	func(*rand.Rand) fate { return always },
	whole, torn, torn,
}

// whole lets some operations survive, and others not, whatever their order.
func whole(random *rand.Rand) fate {
	share, drawn := random.Float64(), map[*operation]bool{}
	return func(o *operation, _ int64) bool {
		survives, ok := drawn[o]
		if !ok {
			survives = random.Float64() < share
			drawn[o] = survives
		}
		return survives
	}
}

// torn leaves each sector as it was at some time since it was synced.
func torn(random *rand.Rand) fate {
	type place struct {
		inode  int
		sector int64
	}
	share, ended := 0.5*random.Float64(), map[place]bool{}
	return func(o *operation, sector int64) bool {
		at := place{o.inode, sector}
		ended[at] = ended[at] || random.Float64() < share
		return !ended[at]
	}
}

// Image writes into a folder what a power cut may leave at this point. Each call
// makes another one.
func (r *Replay) Image(folder string) error {
	survives := fates[r.random.IntN(len(fates))](r.random)
	names := maps.Clone(r.names)
	r.move(names, survives)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(names)) { // for chance to be the same again
		c := r.files[names[name]]
		data := c.with(append([]byte(nil), c.synced...), survives)
		errs = append(errs, os.WriteFile(filepath.Join(folder, name), data, 0o600))
		if store, ok := strings.CutSuffix(name, "-wal"); ok && r.random.IntN(2) == 0 {
			errs = append(errs, os.WriteFile(filepath.Join(folder, store+"-shm"), r.rubbish(32<<10), 0o600))
		}
	}
	return errors.Join(errs...)
}

// rubbish is what shared memory may hold after a power cut.
func (r *Replay) rubbish(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.random.Uint32())
	}
	return b
}

// move makes changes to a folder.
func (r *Replay) move(names map[string]int, survives fate) {
	for i, o := range r.moves {
		switch {
		case !survives(o, int64(-1-i)): // as if each entry had a sector of its own
		case o.kind == Delete:
			if names[o.name] == o.inode {
				delete(names, o.name)
			}
		default:
			names[o.name] = o.inode
		}
	}
}

// with returns data as what is pending makes it.
func (c *content) with(data []byte, survives fate) []byte {
	for _, o := range c.pending {
		if o.kind == Truncate {
			if survives(o, 0) {
				data = resize(data, int(o.offset))
			}
			continue
		}
		for from := 0; from < len(o.data); {
			at := int(o.offset) + from
			n := min(len(o.data)-from, sector-at%sector)
			if survives(o, int64(at/sector)) {
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
