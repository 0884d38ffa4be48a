// Package mirror keeps files of releases in a folder, so that clients in a closed network
// can download them from the server.
package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"relcheck/checker/catalog"
	"relcheck/db/dbfile"
)

// Subfolders of a folder.
const (
	contents = "sha256"  // AB/SUM, where AB are the first two digits of the SHA-256
	partials = "partial" // files that are being written
	locks    = "lock"    // see [Folder.lock]
	damaged  = "damaged" // contents that no longer match their SHA-256
	checks   = "check"   // see [Folder.RecordCheck]
)

// Owner is the name of a file with the ID of the store that the folder belongs to. If the
// file is empty, [Create] writes the ID.
const Owner = "store"

// Folder is a folder of files, each under the SHA-256 of its content. A file gets its final
// name only when it is complete and on disk. Several processes can use the same folder,
// also on several machines if the file system has locks.
type Folder struct {
	path   string
	root   *os.Root
	shards [256]atomic.Pointer[shard] // subfolders of contents that [Folder.Get] keeps open
}

// Content identifies the content of a file.
type Content struct {
	SHA256 string // in lower-case hexadecimal
	Size   int64  // in bytes
}

// ContentOf returns the content of a hosted file.
func ContentOf(f *catalog.HostedFile) Content { return Content{f.SHA256, f.Size} }

// ErrMismatch is wrapped by errors about content that is not the expected one.
var ErrMismatch = errors.New("not the expected content")

// ErrDamaged is wrapped by errors about a file that has changed on disk.
var ErrDamaged = errors.New("the file was damaged on disk")

// ErrChanging is wrapped by errors about a file that another process is writing.
var ErrChanging = errors.New("the file is changing on disk")

// Create opens the folder of a store, and creates it if it is missing.
func Create(folder, store string) (*Folder, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("create the folder of files: %w", err)
	}
	return open(folder, store, true)
}

// Open opens the folder of a store. It creates nothing.
func Open(folder, store string) (*Folder, error) { return open(folder, store, false) }

func open(folder, store string, create bool) (*Folder, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("open the folder of files: %w", err)
	}
	f := &Folder{path: folder, root: root}
	if err := f.prepare(store, create); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return f, nil
}

// prepare checks that the folder belongs to a store. If create is set, it creates what is
// missing in the folder.
func (f *Folder) prepare(store string, create bool) error {
	if create {
		for _, sub := range []string{contents, partials, locks} {
			if err := f.root.MkdirAll(sub, 0o755); err != nil {
				return fmt.Errorf("create a folder in %s: %w", f.path, err)
			}
		}
	}
	id, err := f.root.ReadFile(Owner)
	if create && (errors.Is(err, fs.ErrNotExist) || err == nil && len(id) == 0) {
		if err := f.claim(store); err != nil {
			return fmt.Errorf("write the ID of the store into %s: %w", f.path, err)
		}
		id, err = f.root.ReadFile(Owner)
	}
	switch id := strings.TrimSpace(string(id)); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not a folder of files, because it has no file named %s: mount its disk, or give the folder that relcheck file fetch has filled", f.path, Owner)
	case err != nil:
		return fmt.Errorf("read the ID of the store that the folder belongs to: %w", err)
	case id != store:
		return fmt.Errorf("%s belongs to store %.100s, and this is store %s: give the folder of this store, or remove %s if the other store is no longer used", f.path, id, store, filepath.Join(f.path, Owner))
	}
	return nil
}

// claim makes the folder that of a store.
func (f *Folder) claim(store string) error {
	name := path.Join(partials, fmt.Sprintf("%s-%016x", Owner, rand.Uint64()))
	if err := f.root.WriteFile(name, []byte(store+"\n"), 0o644); err != nil {
		f.root.Remove(name)
		return err
	}
	return f.root.Rename(name, Owner)
}

// Close closes the folder.
func (f *Folder) Close() error {
	f.adopt()
	for i := range f.shards {
		if shard := f.shards[i].Swap(nil); shard != nil {
			shard.Close()
		}
	}
	return f.root.Close()
}

// adopt gives what root has created in the folder to the owner of the folder, so that a
// service of that user can write to it.
func (f *Folder) adopt() {
	info, err := f.root.Stat(".")
	if err != nil || os.Geteuid() != 0 {
		return
	}
	if user, known := dbfile.Owner(info); !known || user == 0 {
		return
	}
	fs.WalkDir(f.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() && !entry.Type().IsRegular() {
			return nil
		}
		if file, err := f.root.OpenFile(name, os.O_RDONLY|dbfile.NoFollow, 0); err == nil {
			dbfile.Adopt(file, f.path)
			file.Close()
		}
		return nil
	})
}

func contentPath(sum string) string { return path.Join(contents, sum[:2], sum) }

// Get opens the content with a SHA-256 for reading. The error wraps [fs.ErrNotExist] if the
// folder does not contain it.
func (f *Folder) Get(sum string) (*os.File, error) {
	if !catalog.IsSHA256(sum) {
		return nil, fmt.Errorf("%.100q is not a SHA-256: %w", sum, fs.ErrNotExist)
	}
	place := f.shard(sum)
	if shard := place.Load(); shard != nil {
		if file, err := openContent(shard, sum); err == nil {
			return file, nil
		}
		if place.CompareAndSwap(shard, nil) { // it may have been replaced
			shard.Close()
		}
	}
	file, err := f.root.Open(contentPath(sum))
	if err != nil {
		return nil, err
	}
	if shard, err := openShard(f.root, path.Join(contents, sum[:2])); err == nil && !place.CompareAndSwap(nil, shard) {
		shard.Close()
	}
	return file, nil
}

// shard returns where the subfolder of a content is kept open.
func (f *Folder) shard(sum string) *atomic.Pointer[shard] {
	i, _ := strconv.ParseUint(sum[:2], 16, 8) // sum is a SHA-256
	return &f.shards[i]
}

// Stat describes the file of the content with a SHA-256. It does not follow links.
func (f *Folder) Stat(sum string) (fs.FileInfo, error) {
	if !catalog.IsSHA256(sum) {
		return nil, fs.ErrNotExist
	}
	return f.root.Lstat(contentPath(sum))
}

// Has reports whether the folder contains a file with the name and the size of the content.
// It does not read the file.
func (f *Folder) Has(c Content) bool {
	info, err := f.Stat(c.SHA256)
	return err == nil && info.Mode().IsRegular() && info.Size() == c.Size
}

// Add stores the content of r. The error wraps [ErrMismatch] if the content does not have
// the expected checksums. If a SHA-256 is expected, Add overwrites the partial file of a
// killed process.
func (f *Folder) Add(ctx context.Context, r io.Reader, want catalog.File) (c Content, err error) {
	name, flags := path.Join(partials, fmt.Sprintf("add-%016x", rand.Uint64())), os.O_EXCL
	if catalog.IsSHA256(want.SHA256) {
		unlock, err := f.lock(ctx, want.SHA256)
		if err != nil {
			return c, err
		}
		defer unlock()
		name, flags = path.Join(partials, "add-"+want.SHA256), os.O_TRUNC
	}
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|flags, 0o644)
	if err != nil {
		return c, err
	}
	defer func() {
		file.Close()
		if err != nil {
			f.root.Remove(name)
		}
	}()
	sums := newSums(want)
	if c.Size, err = io.Copy(io.MultiWriter(file, sums), contextReader{ctx, r, nil}); err != nil {
		return c, err
	}
	if c.SHA256, err = sums.check(want); err != nil {
		return c, err
	}
	return c, f.publish(file, name, c.SHA256)
}

// publish gives a complete partial file its final name.
func (f *Folder) publish(file *os.File, name, sum string) error {
	folder := path.Join(contents, sum[:2])
	if err := file.Sync(); err != nil {
		return err
	}
	if err := f.root.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := f.root.Rename(name, contentPath(sum)); err != nil {
		return err
	}
	return errors.Join(f.syncFolder(folder), f.syncFolder(contents))
}

// syncFolder syncs a folder, so that the names in it survive a power failure.
func (f *Folder) syncFolder(name string) error {
	folder, err := f.root.Open(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	return syncNames(folder)
}

// Verify reads the content with a SHA-256 and verifies it. If the content is damaged,
// Verify moves it to the subfolder damaged, and the error wraps [ErrDamaged].
func (f *Folder) Verify(ctx context.Context, sum string) error {
	_, err := f.VerifyAt(ctx, sum, nil)
	return err
}

// VerifyAt is Verify with a limit of bytes a second, unless speed is nil. It returns the
// file that it has read. The error wraps [ErrChanging] if the file changes meanwhile.
func (f *Folder) VerifyAt(ctx context.Context, sum string, speed *rate.Limiter) (fs.FileInfo, error) {
	file, err := f.Get(sum)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return nil, err
	}
	sums := newSums(catalog.File{})
	if _, err := io.Copy(sums, contextReader{ctx, file, speed}); err != nil {
		return nil, err
	}
	after, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !Same(before, after):
		return nil, ErrChanging
	case sums.sha256() == sum:
		return after, nil
	}
	return after, f.moveDamaged(sum, after)
}

// Same reports whether a file has not been replaced or written to.
func Same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// moveDamaged moves damaged content away, unless another process has replaced it.
func (f *Folder) moveDamaged(sum string, read fs.FileInfo) error {
	now, err := f.Stat(sum)
	if err == nil && !os.SameFile(now, read) {
		return ErrChanging
	}
	target := path.Join(damaged, sum)
	if err == nil {
		err = f.root.MkdirAll(damaged, 0o755)
	}
	if err == nil {
		err = f.root.Rename(contentPath(sum), target)
	}
	if err != nil {
		return fmt.Errorf("%w, and cannot be moved away: %w", ErrDamaged, err)
	}
	f.root.Chtimes(target, time.Time{}, time.Now()) // for Prune, which otherwise removes it earlier
	return fmt.Errorf("%w and moved to %s", ErrDamaged, filepath.Join(f.path, target))
}

// All iterates over the contents of the folder. It ends with the first error.
func (f *Folder) All() iter.Seq2[Content, error] {
	return func(yield func(Content, error) bool) {
		err := fs.WalkDir(f.root.FS(), contents, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() || !catalog.IsSHA256(entry.Name()) {
				return err
			}
			info, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
				return nil
			}
			if err == nil && !yield(Content{entry.Name(), info.Size()}, nil) {
				return fs.SkipAll
			}
			return err
		})
		if err != nil {
			yield(Content{}, err)
		}
	}
}

// contextReader is a reader that fails when its context is done. It reads at a limited
// speed unless speed is nil.
type contextReader struct {
	ctx context.Context
	io.Reader
	speed *rate.Limiter
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	if r.speed == nil {
		return r.Reader.Read(p)
	}
	n, err := r.Reader.Read(p[:min(len(p), r.speed.Burst())])
	return n, cmp.Or(r.speed.WaitN(r.ctx, n), err)
}
