package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"relcheck/checker/bundle"
	"relcheck/checker/stats"
	"relcheck/db"
	"relcheck/db/backup"
)

func bundleCommand(streams IO) *cobra.Command {
	return group("bundle", "Carry releases and files into a closed network, and counts out of it.", `
  relcheck bundle create opa.bundle --product opa --latest 2 \
    --files /srv/relcheck --key release.key
  relcheck bundle inspect opa.bundle
  relcheck bundle apply opa.bundle --files /srv/relcheck
  relcheck bundle counts 2026-11.counts --site factory --key site.key`,
		bundleCreate(streams), bundleCounts(streams), bundleInspect(streams), bundleApply(streams))
}

// shortID returns the beginning of the ID of a bundle, which people can compare.
func shortID(id string) string { return id[:min(len(id), 12)] }

// storeID returns the ID of a store as it is written in bundles and names of backups.
func storeID(ctx context.Context, s *db.Store) (string, error) {
	id, err := s.ID(ctx)
	return fmt.Sprintf("%016x", id), err
}

// trustedKeys are the keys that a store trusts, and its revoked keys.
type trustedKeys struct {
	verifiers []note.Verifier          // of the trusted keys
	byID      map[string]db.TrustedKey // also the revoked keys
}

func readTrustedKeys(ctx context.Context, s *db.Store) (t trustedKeys, err error) {
	t.byID = map[string]db.TrustedKey{}
	all, err := s.TrustedKeys(ctx)
	for _, k := range all {
		v, err := bundle.ParsePublicKey(k.Key)
		if err != nil { // the key is from a newer relcheck
			continue
		}
		if t.byID[bundle.KeyID(v)] = k; k.Revoked.IsZero() {
			t.verifiers = append(t.verifiers, v)
		}
	}
	return t, err
}

// allow returns an error if none of the keys of a bundle may sign a product.
func (t trustedKeys) allow(b *bundle.Reader, product string) error {
	ofKind := false
	for _, id := range b.Keys {
		key := t.byID[id]
		if key.Counts != (b.Site != nil) {
			continue
		}
		if len(key.Products) == 0 || slices.Contains(key.Products, product) {
			return nil
		}
		ofKind = true
	}
	key := strings.Join(b.Keys, ", ")
	switch {
	case !ofKind && b.Site != nil:
		return fmt.Errorf("key %s is trusted for releases, and the bundle contains counts of site %s: trust the key of the site with relcheck key trust --counts", key, b.Site.Name)
	case !ofKind:
		return fmt.Errorf("key %s is trusted for counts, and the bundle contains releases: trust the key that signs releases with relcheck key trust", key)
	}
	return fmt.Errorf("key %s is not trusted for product %s of the bundle: trust it with relcheck key trust, or create a bundle without the product", key, product)
}

// keysOf returns the texts of keys with some IDs.
func (t trustedKeys) keysOf(ids []string) (texts []string) {
	for _, id := range ids {
		texts = append(texts, t.byID[id].Key)
	}
	return texts
}

// explain adds advice to an error about the signature of a bundle.
func (t trustedKeys) explain(err error) error {
	untrusted, ok := errors.AsType[*bundle.UntrustedError](err)
	if !ok {
		return err
	}
	for _, key := range untrusted.Keys {
		if k := t.byID[key]; !k.Revoked.IsZero() {
			return fmt.Errorf("%w, which was revoked on %s", err, k.Revoked.Format(time.DateOnly))
		}
	}
	if len(t.verifiers) == 0 {
		return fmt.Errorf("%w, and this store trusts no key: trust one with relcheck key trust", err)
	}
	return fmt.Errorf("%w: if you know the key, trust it with relcheck key trust", err)
}

// writeBundle calls write with a new file, which appears when it is complete.
func writeBundle(ctx context.Context, file string, write func(io.Writer) error) error {
	pending, err := backup.NewPendingFile(file, filepath.Dir(file))
	if err != nil {
		return err
	}
	defer pending.Discard()
	out, err := os.OpenFile(pending.Path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	if err = out.Chmod(0o644); err == nil { // it contains nothing secret
		err = write(out)
	}
	err = errors.Join(err, out.Close())
	switch {
	case err == nil:
		err = pending.Commit()
	case ctx.Err() != nil:
		return errors.New("interrupted: nothing was written")
	}
	return explainDisk(err)
}

// bundleFile is an open bundle.
type bundleFile struct {
	*bundle.Reader
	file     *os.File
	progress byteProgress
}

// openBundle opens a bundle that a trusted key has signed. It shows on progress how much is
// read. The caller must close it.
func openBundle(ctx context.Context, name string, t trustedKeys, progress progress) (*bundleFile, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	b := &bundleFile{file: file, progress: byteProgress{progress: progress}}
	if info, err := file.Stat(); err == nil {
		b.progress.total = info.Size()
	}
	b.Reader, err = bundle.NewReader(countedReader{ctx, file, &b.progress}, note.VerifierList(t.verifiers...))
	if err != nil {
		b.progress.clear()
		return nil, errors.Join(t.explain(err), file.Close())
	}
	return b, nil
}

func (b *bundleFile) Close() error {
	b.progress.clear()
	b.Reader.Close()
	return b.file.Close()
}

// eachContent verifies the contents of the bundle. It calls store with those that wanted
// selects.
func (b *bundleFile) eachContent(wanted func(bundle.Content) bool, store func(sum string, r io.Reader) error) error {
	for {
		c, r, err := b.NextContent()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
		case wanted != nil && wanted(c):
			err = store(c.SHA256, r)
		default:
			_, err = io.Copy(io.Discard, r)
		}
		if err != nil {
			return err
		}
	}
}

// showSize describes the contents of a bundle.
func showSize(n bundle.Size) string {
	text := fmt.Sprintf("%s, %s", count(n.Files-n.Omitted, "file"), stats.ShowBytes(float64(n.Bytes)))
	if n.Omitted > 0 {
		text += fmt.Sprintf(", without %d of its base", n.Omitted)
	}
	return text
}

// countedReader is a file that shows how much of it was read, and fails when its context is
// done.
type countedReader struct {
	ctx context.Context
	*os.File
	progress *byteProgress
}

func (r countedReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.File.Read(p)
	r.progress.add(int64(n))
	return n, err
}
