// Package mirror keeps files of releases in a folder, so that clients in a closed network
// can download them from the server.
package mirror

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Subfolders of a folder.
const (
	contents = "sha256"  // AB/SUM, where AB are the first two digits of the SHA-256
	partials = "partial" // files that are being written
	locks    = "lock"    // see [Folder.lock]
	damaged  = "damaged" // contents that no longer match their SHA-256
)

// Folder is a folder of files, each under the SHA-256 of its content. A file gets its final
// name only when it is complete and on disk. Several processes can use the same folder,
// also on several machines if the file system has locks.
type Folder struct {
	path string
	root *os.Root
}

// Content identifies the content of a file.
type Content struct {
	SHA256 string // in lower-case hexadecimal
	Size   int64  // in bytes
}

// Digests are the expected checksums of a file, in lower-case hexadecimal. An empty string
// means unknown.
type Digests struct{ SHA256, SHA512 string }

// Known reports whether a checksum is known, so that a file can be verified.
func (d Digests) Known() bool { return d != Digests{} }

// ErrMismatch is wrapped by errors about content that is not the expected one.
var ErrMismatch = errors.New("not the expected content")

// ErrDamaged is wrapped by errors about a file that has changed on disk.
var ErrDamaged = errors.New("the file was damaged on disk")

// Open opens a folder, and creates it if it is missing.
func Open(folder string) (*Folder, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("create the folder of files: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("open the folder of files: %w", err)
	}
	for _, sub := range []string{contents, partials, locks} {
		if err := root.MkdirAll(sub, 0o755); err != nil {
			return nil, errors.Join(fmt.Errorf("create a folder in %s: %w", folder, err), root.Close())
		}
	}
	return &Folder{folder, root}, nil
}

// CheckWritable returns an error if files cannot be added to the folder.
func (f *Folder) CheckWritable() error {
	name := path.Join(partials, fmt.Sprintf("check-%016x", rand.Uint64()))
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), f.root.Remove(name))
}

// Close closes the folder.
func (f *Folder) Close() error { return f.root.Close() }

func contentPath(sum string) string { return path.Join(contents, sum[:2], sum) }

// Get opens the content with a SHA-256 for reading. The error wraps [fs.ErrNotExist] if the
// folder does not contain it.
func (f *Folder) Get(sum string) (*os.File, error) {
	if !isSum(sum) {
		return nil, fmt.Errorf("%.100q is not a SHA-256: %w", sum, fs.ErrNotExist)
	}
	return f.root.Open(contentPath(sum))
}

// Stat describes the file of the content with a SHA-256. It does not follow links.
func (f *Folder) Stat(sum string) (fs.FileInfo, error) {
	if !isSum(sum) {
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

func isSum(sum string) bool {
	return len(sum) == hex.EncodedLen(sha256.Size) && strings.Trim(sum, "0123456789abcdef") == ""
}

// Add stores the content of r. The error wraps [ErrMismatch] if the content does not have
// the expected checksums. If a SHA-256 is expected, Add overwrites the partial file of a
// killed process.
func (f *Folder) Add(ctx context.Context, r io.Reader, want Digests) (c Content, err error) {
	name, flags := path.Join(partials, fmt.Sprintf("add-%016x", rand.Uint64())), os.O_EXCL
	if isSum(want.SHA256) {
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
	if c.Size, err = io.Copy(io.MultiWriter(file, sums), contextReader{ctx, r}); err != nil {
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
	file, err := f.Get(sum)
	if err != nil {
		return err
	}
	defer file.Close()
	sums := newSums(Digests{})
	if _, err := io.Copy(sums, contextReader{ctx, file}); err != nil {
		return err
	}
	if sums.sha256() == sum {
		return nil
	}
	err = f.root.MkdirAll(damaged, 0o755)
	if err == nil {
		err = f.root.Rename(contentPath(sum), path.Join(damaged, sum))
	}
	if err != nil {
		return fmt.Errorf("%w, and cannot be moved away: %w", ErrDamaged, err)
	}
	return fmt.Errorf("%w and moved to %s", ErrDamaged, filepath.Join(f.path, damaged, sum))
}

// All iterates over the contents of the folder. It ends with the first error.
func (f *Folder) All() iter.Seq2[Content, error] {
	return func(yield func(Content, error) bool) {
		err := fs.WalkDir(f.root.FS(), contents, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() || !isSum(entry.Name()) {
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

const (
	// fresh is the age until which Prune keeps content that is not needed: the process that
	// wrote it may not have recorded it yet.
	fresh = time.Hour
	// abandoned is the age from which Prune removes partial files.
	abandoned = 7 * 24 * time.Hour
)

// Prune removes contents that are not needed, and abandoned partial files. It returns the
// number and the size of the removed contents.
func (f *Folder) Prune(needed func(sum string) bool) (n int, size int64, err error) {
	for c, err := range f.All() {
		if err != nil {
			return n, size, err
		}
		if needed(c.SHA256) {
			continue
		}
		removed, err := f.removeOlder(contentPath(c.SHA256), fresh)
		if err != nil {
			return n, size, err
		}
		if removed {
			n++
			size += c.Size
		}
	}
	left, err := fs.ReadDir(f.root.FS(), partials)
	for _, entry := range left {
		if err == nil {
			_, err = f.removeOlder(path.Join(partials, entry.Name()), abandoned)
		}
	}
	return n, size, err
}

// removeOlder removes a file that was last written longer ago than age.
func (f *Folder) removeOlder(name string, age time.Duration) (bool, error) {
	info, err := f.root.Lstat(name)
	if err == nil && time.Since(info.ModTime()) > age {
		err = f.root.Remove(name)
		return err == nil, err
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return false, err
}

// sums computes the checksums of the bytes written to it.
type sums struct {
	io.Writer
	hash256, hash512 hash.Hash
}

// newSums returns sums of the SHA-256, and of the SHA-512 if it is expected.
func newSums(want Digests) *sums {
	s := &sums{hash256: sha256.New(), hash512: sha512.New()}
	s.Writer = s.hash256
	if want.SHA512 != "" {
		s.Writer = io.MultiWriter(s.hash256, s.hash512)
	}
	return s
}

func (s *sums) sha256() string { return hex.EncodeToString(s.hash256.Sum(nil)) }

// check returns the SHA-256, and an error if the checksums are not the expected ones.
func (s *sums) check(want Digests) (string, error) {
	sum := s.sha256()
	if want.SHA256 != "" && want.SHA256 != sum {
		return "", fmt.Errorf("%w: got SHA-256 %s, want %s", ErrMismatch, sum, want.SHA256)
	}
	if want.SHA512 != "" {
		if got := hex.EncodeToString(s.hash512.Sum(nil)); got != want.SHA512 {
			return "", fmt.Errorf("%w: got SHA-512 %s, want %s", ErrMismatch, got, want.SHA512)
		}
	}
	return sum, nil
}

// contextReader is a reader that fails when its context is done.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
