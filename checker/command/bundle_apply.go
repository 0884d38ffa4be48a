package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/bundle"
	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// applyGC is the value of GOGC with which a bundle is applied: what is known of each of many
// releases must fit into a small machine.
const applyGC = 10

func bundleApply(streams IO) *cobra.Command {
	var path string
	a := bundleApplication{out: streams.Err, progress: newProgress(streams.Err)}
	c := &cobra.Command{
		Use:   "apply FILE",
		Short: "Apply a bundle: store its files and releases, or the counts of a site.",
		Long: `Apply a bundle. The command first reads the bundle to its end. It verifies the signature, the
products that the key is trusted for, and each file. It also checks that the bundle has not
expired and is not older than an applied one. If a check fails, nothing changes.

Then the command puts the files into the folder of relcheck serve --files, and makes all
releases visible at once, as upstream's data. It adds products that do not exist. It does not
change the settings of existing products, or what was set by hand. An interrupted command can
be repeated. If a bundle was applied before, it only restores missing and damaged files.

A bundle of relcheck bundle counts adds the counts of a site to the statistics. They replace
the counts of earlier bundles of that site from the first day in the bundle on. The products
must exist. See relcheck site list.`,
		Example: `  relcheck bundle apply 2026-11.bundle --files /srv/relcheck --dry-run
  relcheck bundle apply 2026-11.bundle --files /srv/relcheck
  relcheck bundle apply 2026-11.counts --site berlin`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.site != "" && !rollup.ValidSite(a.site) {
				return usageError("--site: %q cannot be the name of a site: use lower-case letters, digits, and . _ - after the first one, and not %q", a.site, rollup.LocalSite)
			}
			defer debug.SetGCPercent(debug.SetGCPercent(applyGC))
			return withExisting(cmd.Context(), path, func(s *db.Store) error {
				a.store, a.file = s, args[0]
				return a.run(cmd.Context())
			})
		},
	}
	dbFlag(c, &path)
	filesFlag(c, &a.files)
	c.Flags().StringVar(&a.site, "site", "", "`name` that the site of a bundle of counts gets (default: the name that the bundle or an earlier command gave it)")
	c.Flags().BoolVar(&a.dryRun, "dry-run", false, "verify the bundle and show what would change, and change nothing")
	return c
}

// bundleApplication applies a bundle. It reads the bundle once: the files wait in a batch
// until the last one is verified.
type bundleApplication struct {
	store    *db.Store
	files    string         // path of the folder, or empty
	folder   *mirror.Folder // nil without files, or if a dry run would create it
	file     string
	site     string // name that the site of a bundle of counts gets, or empty
	dryRun   bool
	out      io.Writer
	progress progress

	trusted  trustedKeys
	damaged  map[string]bool // SHA-256 of the contents that were found damaged
	missing  int             // contents that the folder does not have
	repeated bool            // the bundle was applied before
	batch    *mirror.Batch   // nil if there is nothing to store
}

func (a *bundleApplication) run(ctx context.Context) error {
	err := a.verifyAndApply(ctx)
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
	b, err := openBundle(ctx, a.file, a.trusted, a.progress)
	if err != nil {
		return err
	}
	defer closing(b, &err)
	if err := a.check(ctx, b.Reader); err != nil {
		return err
	}
	if b.Site != nil {
		if err := b.eachContent(nil, nil); err != nil {
			return err
		}
		b.progress.clear()
		return a.applyCounts(ctx, b.Reader)
	}
	if err := a.openFolder(ctx, b.Reader); err != nil {
		return err
	}
	if a.folder != nil {
		defer closing(a.folder, &err)
	}
	if err := a.checkFolder(ctx, b.Reader); err != nil {
		return err
	}
	if !a.dryRun && a.folder != nil {
		release, err := a.folder.Hold(ctx)
		if err != nil {
			return err
		}
		defer release()
	}
	if !a.dryRun && a.missing > 0 {
		if a.batch, err = a.folder.NewBatch(ctx); err != nil {
			return err
		}
		defer closing(a.batch, &err)
	}
	if err := b.eachContent(func(c bundle.Content) bool { return a.batch != nil && !a.has(c) }, func(sum string, r io.Reader) error { return a.batch.Add(r, sum) }); err != nil {
		return err
	}
	b.progress.clear()
	return a.apply(ctx, b.Reader)
}

// check returns an error if the note or the index shows that the bundle must not be
// applied.
func (a *bundleApplication) check(ctx context.Context, b *bundle.Reader) error {
	if now := time.Now(); b.Expired(now) {
		return fmt.Errorf("the bundle has expired at %s, and it is %s here: create a new bundle, or correct the clock", b.Expires.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if now := time.Now(); b.Created.After(now.Add(24 * time.Hour)) {
		return fmt.Errorf("the bundle was created at %s, and it is %s here: correct the clock of this machine, or of the one that created the bundle", b.Created.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	own, err := storeID(ctx, a.store)
	if err != nil {
		return err
	}
	if b.Store == own {
		return errors.New("the bundle was created by this store: apply it to another one")
	}
	if b.Site == nil && a.site != "" {
		return usageError("--site %s: the bundle contains releases, not the counts of a site: leave --site out", a.site)
	}
	applied, err := a.store.AppliedBundles(ctx)
	if err != nil {
		return err
	}
	a.repeated = true
	for _, p := range b.Products {
		if err := a.trusted.allow(b, p.Name); err != nil {
			return err
		}
		if b.Site != nil {
			continue // the store compares sequence numbers
		}
		if err := a.checkSequence(b, p, applied); err != nil {
			return err
		}
	}
	if len(b.Products) == 0 {
		return errors.New("the bundle contains no products")
	}
	a.damaged, err = a.store.DamagedContents(ctx)
	return err
}

// openFolder opens the folder, after the bundle was checked: a refused bundle does not create
// it, nor does a dry run.
func (a *bundleApplication) openFolder(ctx context.Context, b *bundle.Reader) (err error) {
	switch {
	case a.files == "" && b.Size.Files > 0:
		return usageError("missing --files: the bundle contains %s: give the folder of relcheck serve --files", count(b.Size.Files, "file"))
	case a.files == "":
		return nil
	case a.dryRun:
		if _, err := os.Stat(filepath.Join(a.files, mirror.Owner)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	a.folder, err = openFolder(ctx, a.store, a.files, !a.dryRun)
	return err
}

// checkSequence returns an error if a newer bundle of the same store was applied before, or
// if the base was not. It prints a warning about a newer bundle of another store.
func (a *bundleApplication) checkSequence(b *bundle.Reader, p *bundle.Product, applied []db.AppliedBundle) error {
	hasBase := p.Base == 0
	for _, last := range applied {
		switch {
		case last.Product != p.Name:
		case last.Store != b.Store:
			if last.Sequence > p.Sequence {
				fmt.Fprintf(a.out, "warning: product %s: a newer bundle of another store, %s, was applied at %s, and this bundle replaces its releases\n", p.Name, last.Store, last.Applied.Format(time.RFC3339))
			}
		case last.Bundle == b.ID:
			return nil
		case last.Sequence >= p.Sequence:
			return fmt.Errorf("%w: product %s has sequence number %d in this bundle, and %d was applied at %s: create a new bundle", db.ErrOldBundle, p.Name, p.Sequence, last.Sequence, last.Applied.Format(time.RFC3339))
		default:
			hasBase = hasBase || last.Sequence >= p.Base
		}
	}
	if !hasBase {
		return fmt.Errorf("its base, bundle %s, was not applied here for product %s: apply the base first, or a bundle that was created without --since", shortID(b.Base), p.Name)
	}
	a.repeated = false
	return nil
}

// checkFolder counts the contents that the folder does not have. It returns an error if the
// bundle omits one of them.
func (a *bundleApplication) checkFolder(ctx context.Context, b *bundle.Reader) error {
	omitted := 0
	for c, err := range b.Contents() {
		if err != nil {
			return err
		}
		if c.InBase && a.damaged[c.SHA256] && a.folder != nil {
			switch err := a.folder.Verify(ctx, c.SHA256); {
			case err == nil:
				delete(a.damaged, c.SHA256)
			case !errors.Is(err, mirror.ErrDamaged) && !errors.Is(err, fs.ErrNotExist):
				return err
			}
		}
		switch has := a.has(c); {
		case !has && c.InBase:
			omitted++
		case !has:
			a.missing++
		}
	}
	if omitted > 0 {
		return fmt.Errorf("%s of its base, bundle %s, are missing in the folder: apply the base again, or a bundle that was created without --since", count(int64(omitted), "file"), shortID(b.Base))
	}
	return nil
}

// has reports whether the folder has a content, which is not known to be damaged.
func (a *bundleApplication) has(c bundle.Content) bool {
	return a.folder != nil && a.folder.Has(mirror.Content{SHA256: c.SHA256, Size: c.Size}) && !a.damaged[c.SHA256]
}

// place puts the files of the batch into the folder. It returns an error if another file of
// the bundle was removed meanwhile.
func (a *bundleApplication) place(b *bundle.Reader) error {
	if a.batch != nil {
		if err := a.batch.Publish(); err != nil {
			return err
		}
	}
	for c, err := range b.Contents() {
		if err != nil {
			return err
		}
		if !a.folder.Has(mirror.Content{SHA256: c.SHA256, Size: c.Size}) {
			return fmt.Errorf("file %s was removed while the bundle was applied: run the command again", c.SHA256)
		}
	}
	return nil
}

// apply stores the releases and prints what changes.
func (a *bundleApplication) apply(ctx context.Context, b *bundle.Reader) error {
	header := db.Bundle{ID: b.ID, Store: b.Store, Expires: b.Expires, Created: b.Created, Time: time.Now(), Keys: a.trusted.keysOf(b.Keys), DryRun: a.dryRun, Place: func() error { return a.place(b) }}
	var products []*db.BundleProduct
	for _, p := range b.Products {
		stored, err := storedProduct(b, p, header.Time)
		if err != nil {
			return err
		}
		products = append(products, stored)
	}
	results, err := a.store.ApplyBundle(ctx, header, products)
	if err != nil {
		return err
	}
	a.repeated = true // also if another command has applied it meanwhile
	for _, r := range results {
		a.repeated = a.repeated && r.Repeated
		text := r.String()
		if r.New {
			text = "new product; " + text
		}
		if !r.Repeated {
			fmt.Fprintf(a.out, "%s: %s\n", r.Product, text)
		}
		if !r.New && !r.Repeated {
			if err := a.hint(ctx, r.Product); err != nil {
				return err
			}
		}
	}
	a.summary(b)
	if a.folder != nil && !a.dryRun {
		printServing(a.out, a.folder, a.files)
	}
	return nil
}

// hint names the settings that a product lacks for clients that cannot reach upstream.
func (a *bundleApplication) hint(ctx context.Context, product string) error {
	p, err := a.store.Product(ctx, product)
	if err == nil && cmp.Or(p.Links, catalog.LinksHosted) == catalog.LinksHosted && !p.NotesHere {
		fmt.Fprintf(a.out, "hint: answers for %s can link to other servers: if its clients cannot reach them, run relcheck product set %s --links hosted-only --notes-here\n", product, product)
	}
	return err
}

func (a *bundleApplication) summary(b *bundle.Reader) {
	stored, created := count(int64(a.missing), "file"), b.Created.Format(time.RFC3339)
	valid, applied := fmt.Sprintf(", and %s of its %d would be stored", stored, b.Size.Files), fmt.Sprintf(" of store %s, created at %s: %s stored", b.Store, created, stored)
	if b.Site != nil {
		valid, applied = "", fmt.Sprintf(": counts of site %s, store %s, created at %s", a.site, b.Store, created)
	}
	switch {
	case a.dryRun && a.repeated && a.missing == 0:
		fmt.Fprintf(a.out, "bundle %s was applied before: nothing would change\n", shortID(b.ID))
	case a.dryRun:
		fmt.Fprintf(a.out, "bundle %s is valid%s; nothing was changed, because of --dry-run\n", shortID(b.ID), valid)
	case a.repeated && a.missing == 0:
		fmt.Fprintf(a.out, "bundle %s was applied before: nothing has changed\n", shortID(b.ID))
	case a.repeated:
		fmt.Fprintf(a.out, "bundle %s was applied before: %s stored again, which were missing or damaged\n", shortID(b.ID), stored)
	default:
		fmt.Fprintf(a.out, "applied bundle %s%s\n", shortID(b.ID), applied)
	}
}

// storedProduct returns a product of a bundle in the form that the store needs. A product
// that the store does not have gets settings for a site that cannot reach upstream.
func storedProduct(b *bundle.Reader, p *bundle.Product, now time.Time) (*db.BundleProduct, error) {
	settings, err := p.Fields.Apply(catalog.Product{Name: p.Name, NotesHere: true, Links: catalog.LinksHostedOnly}) // clients may not reach upstream
	if err != nil {
		return nil, fmt.Errorf("product %s: %w", p.Name, err)
	}
	list := catalog.List{Name: catalog.BundleList(b.Store)}
	for r, err := range b.Releases(p) {
		if err != nil {
			return nil, err
		}
		list.Entries = append(list.Entries, catalog.Entry{Tag: r.Tag, Upstream: catalog.Layer{Prerelease: r.Layer.Prerelease, Withdrawn: r.Layer.Withdrawn, Published: r.Layer.Published}})
	}
	return &db.BundleProduct{
		Product:  settings,
		Sequence: p.Sequence,
		Latest:   settings.LatestIn(list, now),
		Releases: func(yield func(db.BundleRelease, error) bool) {
			for r, err := range b.Releases(p) {
				if err != nil {
					yield(db.BundleRelease{}, err)
					return
				}
				stored := db.BundleRelease{Tag: r.Tag, Layer: r.Layer, Hosted: r.Files, Offset: r.Offset}
				for i := range r.Files {
					r.Files[i].Fetched = now
				}
				if !yield(stored, nil) {
					return
				}
			}
		},
		Text: func(r db.BundleRelease) (*string, error) {
			again, err := b.Release(r.Offset)
			if err != nil {
				return nil, err
			}
			return again.Layer.Text, nil
		},
	}, nil
}
