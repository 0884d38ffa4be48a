package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sync/errgroup"

	"relcheck/checker/catalog"
)

// incoming is the subfolder of the files of a [Batch].
const incoming = "incoming"

// Batch adds contents to a folder, all or none. Only one process at a time adds a batch to
// a folder.
type Batch struct {
	folder  *Folder
	lock    *flock.Flock
	syncing errgroup.Group // writes files to disk while the next ones are received
	added   []string       // SHA-256 of the contents
}

// NewBatch waits until no other process adds a batch, and removes what a killed one has left.
// The caller must close the batch.
func (f *Folder) NewBatch(ctx context.Context) (*Batch, error) {
	b := &Batch{folder: f, lock: f.lockFile("batch")}
	if _, err := b.lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return nil, fmt.Errorf("wait for another bundle: %w", err)
	}
	err := f.root.RemoveAll(incoming)
	if err == nil {
		err = f.root.Mkdir(incoming, 0o755)
	}
	if err != nil {
		return nil, errors.Join(err, b.lock.Close())
	}
	b.syncing.SetLimit(8)
	return b, nil
}

// Add adds the content of r, which must return an error instead of [io.EOF] if the content
// does not have the SHA-256.
func (b *Batch) Add(r io.Reader, sum string) error {
	if !catalog.IsSHA256(sum) {
		return fmt.Errorf("%.100q is not a SHA-256: %w", sum, fs.ErrInvalid)
	}
	file, err := b.folder.root.OpenFile(path.Join(incoming, sum), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, r); err != nil {
		file.Close()
		return err
	}
	b.added = append(b.added, sum)
	b.syncing.Go(func() error { return errors.Join(file.Sync(), file.Close()) })
	return nil
}

// Publish gives all files their final names. An existing file, which may be damaged, is
// replaced.
func (b *Batch) Publish() error {
	if err := b.syncing.Wait(); err != nil {
		return err
	}
	folders := map[string]bool{}
	for _, sum := range b.added {
		folder := path.Dir(contentPath(sum))
		if !folders[folder] {
			if err := b.folder.root.MkdirAll(folder, 0o755); err != nil {
				return err
			}
			folders[folder] = true
		}
		if err := b.folder.root.Rename(path.Join(incoming, sum), contentPath(sum)); err != nil {
			return err
		}
	}
	if len(folders) > 0 {
		folders[contents] = true
	}
	for folder := range folders {
		if err := b.folder.syncFolder(folder); err != nil {
			return err
		}
	}
	b.added = nil
	return nil
}

// Close removes the files that were not published.
func (b *Batch) Close() error {
	return errors.Join(b.syncing.Wait(), b.folder.root.RemoveAll(incoming), b.lock.Close())
}
