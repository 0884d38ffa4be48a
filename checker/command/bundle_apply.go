package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/bundle"
	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/db"
)

func bundleApply(streams IO) *cobra.Command {
	var path, files string
	var dryRun bool
	c := &cobra.Command{
		Use:   "apply FILE",
		Short: "Apply a bundle: store its files and releases.",
		Long: `Apply a bundle. The command first reads the bundle to its end. It verifies the signature, the
products that the key is trusted for, and each file. It also checks that the bundle has not
expired and is not older than an applied one. If a check fails, nothing changes.

Then the command stores the files in the folder of relcheck serve --files, and makes all
releases visible at once, as upstream's data. It adds products that do not exist. It does not
change the settings of existing products, or what was set by hand. An interrupted command can
be repeated. If a bundle was applied before, it only restores missing and damaged files.`,
		Example: `  relcheck bundle apply 2026-11.bundle --files /srv/relcheck --dry-run
  relcheck bundle apply 2026-11.bundle --files /srv/relcheck`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withExisting(cmd.Context(), path, func(s *db.Store) error {
				a := bundleApplication{store: s, file: args[0], dryRun: dryRun, out: streams.Err, progress: byteProgress{progress: newProgress(streams.Err)}}
				if files == "" {
					return a.run(cmd.Context())
				}
				return withFolder(files, true, func(f *mirror.Folder) error {
					a.folder = f
					return a.run(cmd.Context())
				})
			})
		},
	}
	dbFlag(c, &path)
	filesFlag(c, &files)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "verify the bundle and show what would change, and change nothing")
	return c
}

// bundleApplication applies a bundle. It reads the bundle twice, because nothing may change
// before the last file is verified.
type bundleApplication struct {
	store    *db.Store
	folder   *mirror.Folder // nil without --files
	file     string
	dryRun   bool
	out      io.Writer
	progress byteProgress

	trusted  trustedKeys
	size     bundleSize
	missing  int  // contents that the folder does not have
	repeated bool // the bundle was applied before
}

func (a *bundleApplication) run(ctx context.Context) error {
	err := a.verifyAndApply(ctx)
	a.progress.clear()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errors.New("interrupted: run the command again")
	case errors.Is(err, bundle.ErrInvalid), errors.As(err, new(*bundle.UntrustedError)):
		return fmt.Errorf("%s: %w: nothing was changed", a.file, err)
	}
	return fmt.Errorf("%s: %w", a.file, explainDisk(err))
}

func (a *bundleApplication) verifyAndApply(ctx context.Context) (err error) {
	if a.trusted, err = readTrustedKeys(ctx, a.store); err != nil {
		return err
	}
	info, err := os.Stat(a.file)
	if err != nil {
		return err
	}
	a.progress.total = info.Size()
	var id string
	err = a.open(func(b *bundle.Reader) error {
		id = b.ID
		if err := a.check(ctx, b); err != nil {
			return err
		}
		return verifyContents(ctx, b)
	})
	if err != nil {
		return err
	}
	return a.open(func(b *bundle.Reader) error {
		if b.ID != id {
			return errors.New("the file changed while it was read")
		}
		if !a.dryRun {
			if err := a.putFiles(ctx, b); err != nil {
				return err
			}
		}
		return a.apply(ctx, b)
	})
}

// open calls f with the bundle.
func (a *bundleApplication) open(f func(*bundle.Reader) error) error {
	file, err := os.Open(a.file)
	if err != nil {
		return err
	}
	defer file.Close()
	a.progress.done = 0
	b, err := openBundle(countedReader{file, &a.progress}, a.trusted)
	if err != nil {
		return err
	}
	defer b.Close()
	return f(b)
}

// countedReader shows how much is read.
type countedReader struct {
	io.Reader
	progress *byteProgress
}

func (r countedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.progress.add(int64(n))
	return n, err
}

// check returns an error if the note or the index shows that the bundle must not be
// applied.
func (a *bundleApplication) check(ctx context.Context, b *bundle.Reader) error {
	if now := time.Now(); b.Expired(now) {
		return fmt.Errorf("the bundle has expired at %s, and it is %s here: create a new bundle, or correct the clock", b.Expires.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	own, err := storeID(ctx, a.store)
	if err != nil {
		return err
	}
	if b.Store == own {
		return errors.New("the bundle was created by this store: apply it to another one")
	}
	applied, err := a.store.AppliedBundles(ctx)
	if err != nil {
		return err
	}
	products := 0
	a.repeated = true
	for p, err := range b.Products() {
		if err == nil {
			err = a.trusted.allow(b.Keys, p.Name)
		}
		if err == nil {
			err = a.checkSequence(b, p, applied)
		}
		if err != nil {
			return err
		}
		products++
	}
	if products == 0 {
		return errors.New("the bundle contains no products")
	}
	if a.size, err = sizeOfBundle(b); err != nil {
		return err
	}
	return a.checkFolder(b, applied)
}

// checkSequence returns an error if a newer bundle of the same store was applied before.
func (a *bundleApplication) checkSequence(b *bundle.Reader, p *bundle.Product, applied []db.AppliedBundle) error {
	for _, last := range applied {
		if last.Product != p.Name || last.Store != b.Store {
			continue
		}
		if last.Bundle == b.ID {
			return nil
		}
		if last.Sequence >= p.Sequence {
			return fmt.Errorf("%w: product %s has sequence number %d in this bundle, and %d was applied at %s: create a new bundle", db.ErrOldBundle, p.Name, p.Sequence, last.Sequence, last.Applied.Format(time.RFC3339))
		}
	}
	a.repeated = false
	return nil
}

// checkFolder counts the contents that the folder does not have. It returns an error if the
// bundle omits one of them.
func (a *bundleApplication) checkFolder(b *bundle.Reader, applied []db.AppliedBundle) error {
	if a.size.files > 0 && a.folder == nil {
		return usageError("missing --files: the bundle contains %s: give the folder of relcheck serve --files", count(a.size.files, "file"))
	}
	left := 0
	for c, err := range b.Contents() {
		if err != nil {
			return err
		}
		switch has := a.folder.Has(mirror.Content{SHA256: c.SHA256, Size: c.Size}); {
		case !has && c.InBase:
			left++
		case !has:
			a.missing++
		}
	}
	if left == 0 {
		return nil
	}
	for _, last := range applied {
		if last.Bundle == b.Base {
			return fmt.Errorf("%s of its base, bundle %s, are missing in the folder: apply the base again, or a bundle that was created without --since", count(int64(left), "file"), shortID(b.Base))
		}
	}
	return fmt.Errorf("its base, bundle %s, was not applied here, and %s of it are missing: apply the base first, or a bundle that was created without --since", shortID(b.Base), count(int64(left), "file"))
}

// putFiles stores the missing contents in the folder.
func (a *bundleApplication) putFiles(ctx context.Context, b *bundle.Reader) error {
	for a.missing > 0 {
		c, r, err := b.NextContent()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if a.folder.Has(mirror.Content{SHA256: c.SHA256, Size: c.Size}) {
			continue
		}
		if _, err := a.folder.Add(ctx, r, mirror.Digests{SHA256: c.SHA256}); err != nil {
			return err
		}
		if a.repeated { // otherwise apply stores it
			if err := a.store.MarkDamaged(ctx, c.SHA256, time.Time{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// apply stores the releases and prints what changes.
func (a *bundleApplication) apply(ctx context.Context, b *bundle.Reader) error {
	a.progress.clear()
	header := db.Bundle{ID: b.ID, Store: b.Store, Time: time.Now(), DryRun: a.dryRun, Force: true}
	results, err := a.store.ApplyBundle(ctx, header, storedProducts(b))
	if err != nil {
		return err
	}
	for _, r := range results {
		text := r.String()
		if r.New {
			text = "new product; " + text
		}
		if !r.Repeated {
			fmt.Fprintf(a.out, "%s: %s\n", r.Product, text)
		}
	}
	a.summary(b)
	return nil
}

func (a *bundleApplication) summary(b *bundle.Reader) {
	stored := fmt.Sprintf("%s stored", count(int64(a.missing), "file"))
	switch {
	case a.dryRun && a.repeated && a.missing == 0:
		fmt.Fprintf(a.out, "bundle %s was applied before: nothing would change\n", shortID(b.ID))
	case a.dryRun:
		fmt.Fprintf(a.out, "bundle %s is valid, and %s of its %d would be stored; nothing was changed, because of --dry-run\n", shortID(b.ID), count(int64(a.missing), "file"), a.size.files)
	case a.repeated && a.missing == 0:
		fmt.Fprintf(a.out, "bundle %s was applied before: nothing has changed\n", shortID(b.ID))
	case a.repeated:
		fmt.Fprintf(a.out, "bundle %s was applied before: %s again, which were missing or damaged\n", shortID(b.ID), stored)
	default:
		fmt.Fprintf(a.out, "applied bundle %s of store %s, created at %s: %s\n", shortID(b.ID), b.Store, b.Created.Format(time.RFC3339), stored)
	}
}

// bundleList is the name of the list of a store's bundles.
func bundleList(store string) string { return "bundle:" + store }

// storedProducts iterates over the products of a bundle, in the form that the store needs.
func storedProducts(b *bundle.Reader) iter.Seq2[*db.BundleProduct, error] {
	now := time.Now()
	return func(yield func(*db.BundleProduct, error) bool) {
		for p, err := range b.Products() {
			var stored *db.BundleProduct
			if err == nil {
				stored, err = storedProduct(b, p, now)
			}
			if !yield(stored, err) || err != nil {
				return
			}
		}
	}
}

func storedProduct(b *bundle.Reader, p *bundle.Product, now time.Time) (*db.BundleProduct, error) {
	settings, err := p.Fields.Apply(catalog.Product{Name: p.Name})
	if err != nil {
		return nil, fmt.Errorf("product %s: %w", p.Name, err)
	}
	stored := &db.BundleProduct{Product: settings, Sequence: p.Sequence, List: catalog.List{Name: bundleList(b.Store), Whole: true, Exact: true}, Hosted: map[string][]catalog.HostedFile{}}
	for _, r := range p.Releases {
		stored.List.Entries = append(stored.List.Entries, catalog.Entry{Tag: r.Tag, Upstream: r.Layer})
		for _, f := range r.Files {
			stored.Hosted[r.Tag] = append(stored.Hosted[r.Tag], catalog.HostedFile{Name: f.Name, URL: f.URL, SHA256: f.SHA256, SHA512: f.SHA512, Size: f.Size, Verified: f.Verified, Fetched: now})
		}
	}
	return stored, nil
}
