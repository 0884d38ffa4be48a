package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"relcheck/checker"
	"relcheck/checker/bundle"
	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/db"
)

// createOptions are the flags of relcheck bundle create.
type createOptions struct {
	products, platformTexts []string
	platforms               []checker.Platform
	latest                  int
	files, since, key       string
	expires                 time.Time
}

func bundleCreate(streams IO) *cobra.Command {
	var o createOptions
	c := &cobra.Command{
		Use:   "create FILE",
		Short: "Write releases and their files to a signed archive.",
		Long: `Write the releases of products and their files to a signed archive, which relcheck bundle
apply reads in a closed network. The archive contains all releases, and all files of the
folder of relcheck serve --files. --latest limits the files to the newest releases, and
--platform to some platforms. The archive contains no tokens, reports, templates or policies.

--since leaves out the files of an earlier bundle, which must be applied first. FILE appears
only when it is complete. An existing file is not replaced.`,
		Example: `  relcheck bundle create 2026-11.bundle --files /srv/relcheck --key release.key
  relcheck bundle create opa.bundle --product opa --latest 2 \
    --platform linux/amd64 --files /srv/relcheck --key release.key --expires 30d
  relcheck bundle create 2026-12.bundle --since 2026-11.bundle \
    --files /srv/relcheck --key release.key`,
	}
	c.Flags().StringArrayVar(&o.products, "product", nil, "`name` of a product (default: all that have releases); can be repeated")
	c.Flags().IntVar(&o.latest, "latest", 0, "`number` of the newest releases whose files are included, in each channel (default: all)")
	c.Flags().StringSliceVar(&o.platformTexts, "platform", nil, "`OS/ARCH` of the included files that are for a platform, separated by commas (default: all)")
	c.Flags().StringVar(&o.since, "since", "", "earlier `bundle` whose files are left out")
	c.Flags().StringVar(&o.key, "key", "", "`file` of the secret key that signs the bundle, see relcheck key generate")
	c.Flags().Func("expires", "`time` after which the bundle is refused: a duration (30d) or a date (default: never)", func(s string) (err error) {
		o.expires, err = parseExpiry(s, time.Now())
		return err
	})
	filesFlag(c, &o.files)
	return existingStoreCommand(c, func(ctx context.Context, s *db.Store, args []string) (err error) {
		if o.key == "" {
			return usageError("missing --key: give the file of a secret key; relcheck key generate creates one")
		}
		if o.latest < 0 {
			return usageError("--latest %d: enter a positive number", o.latest)
		}
		if o.platforms, err = parsePlatforms(o.platformTexts); err != nil {
			return usageError("--platform: %w", err)
		}
		signer, verifier, err := readSecretKey(o.key, streams.Err)
		if err != nil {
			return err
		}
		w := bundleWriter{store: s, createOptions: o, signer: signer, verifier: verifier, out: streams.Err, progress: byteProgress{progress: newProgress(streams.Err)}}
		if o.files == "" {
			return w.create(ctx, args[0])
		}
		return withFolder(ctx, s, o.files, false, func(f *mirror.Folder) error {
			w.folder = f
			return w.create(ctx, args[0])
		})
	})
}

// parseExpiry parses a duration from now or a point in time, which must be in the future.
func parseExpiry(s string, now time.Time) (time.Time, error) {
	t, err := catalog.ParseTime(s)
	if d, durationErr := catalog.ParseDuration(s); durationErr == nil {
		t, err = now.Add(d), nil
	}
	switch {
	case err != nil:
		return t, errors.New("enter a duration (30d), a date (2027-01-31) or an RFC 3339 time")
	case !t.After(now):
		return t, errors.New("enter a time in the future")
	}
	return t.Truncate(time.Second), nil
}

// bundleWriter creates a bundle.
type bundleWriter struct {
	store *db.Store
	createOptions
	folder   *mirror.Folder // nil without files
	signer   note.Signer
	verifier note.Verifier
	out      io.Writer
	progress byteProgress

	base     *bundleFile // of --since, or nil
	added    int         // products
	releases int
	omitted  int // number of files that cannot be served
}

func (w *bundleWriter) create(ctx context.Context, file string) (err error) {
	tidy(w.out, file)
	h := bundle.Header{Created: time.Now(), Expires: w.expires}
	if h.Store, err = storeID(ctx, w.store); err != nil {
		return err
	}
	if w.since != "" {
		if err := w.openBase(ctx, h.Store); err != nil {
			return fmt.Errorf("--since %s: %w", w.since, err)
		}
		defer w.base.Close()
		h.Base = w.base.ID
	}
	var id string
	var size bundle.Size
	err = writeBundle(ctx, file, func(out io.Writer) (err error) {
		id, size, err = w.write(ctx, out, h)
		return err
	})
	w.progress.clear()
	if err == nil {
		w.summary(file, id, h, size)
	}
	return err
}

// openBase opens the bundle whose files are left out. This store must have created it, with
// the same key or another trusted one.
func (w *bundleWriter) openBase(ctx context.Context, store string) error {
	trusted, err := readTrustedKeys(ctx, w.store)
	if err != nil {
		return err
	}
	if k, ok := trusted.byID[bundle.KeyID(w.verifier)]; !ok || !k.Revoked.IsZero() {
		trusted.verifiers = append(trusted.verifiers, w.verifier)
	}
	b, err := openBundle(ctx, w.since, trusted, w.progress.progress)
	if err != nil {
		return err
	}
	if b.Store != store {
		return errors.Join(fmt.Errorf("it is a bundle of another store, %s: give one of this store, %s", b.Store, store), b.Close())
	}
	w.base = b
	return nil
}

func (w *bundleWriter) write(ctx context.Context, out io.Writer, h bundle.Header) (id string, size bundle.Size, err error) {
	names, err := productsOrAll(ctx, w.store, w.products)
	if err != nil {
		return "", size, err
	}
	sequences, err := w.store.NextBundleSequences(ctx, names, h.Created)
	if err != nil {
		return "", size, err
	}
	b, err := bundle.NewWriter()
	if err != nil {
		return "", size, err
	}
	defer b.Close()
	for _, name := range names {
		err := w.store.ReadProduct(ctx, name, func(p *db.ProductReader) error { return w.addProduct(ctx, b, p, sequences[name]) })
		if err != nil {
			return "", size, err
		}
	}
	if w.added == 0 {
		return "", size, errors.New("no product has releases: add them with relcheck release sync, import or add")
	}
	contents := b.Contents()
	if w.base != nil {
		if err := bundle.Omit(contents, w.base.Contents()); err != nil {
			return "", size, err
		}
	}
	for _, c := range contents {
		size.Add(c)
	}
	w.progress.total = size.Bytes
	id, err = b.Write(out, h, w.signer, contents, func(sum string) (io.ReadCloser, error) {
		f, err := w.folder.Get(sum)
		return countedReader{ctx, f, &w.progress}, err
	})
	return id, size, err
}

// addProduct adds a product with all its releases, unless it has none. It merges the layers
// of upstream and of the operator, because both are upstream in the closed network.
func (w *bundleWriter) addProduct(ctx context.Context, b *bundle.Writer, p *db.ProductReader, sequence int64) error {
	if len(p.Tags) == 0 {
		if len(w.products) > 0 {
			return fmt.Errorf("product %s has no releases: add them with %s", p.Name, p.AddCommands())
		}
		return nil
	}
	product := &bundle.Product{Name: p.Name, Sequence: sequence, Fields: catalog.ProductPatch{}}
	for _, field := range bundle.Fields {
		if value := p.Field(field); value != "" {
			product.Fields[field] = value
		}
	}
	if w.base != nil {
		for _, old := range w.base.Products {
			if old.Name == p.Name {
				product.Base = old.Sequence
			}
		}
	}
	if err := b.Product(product); err != nil {
		return err
	}
	withFiles, err := w.releasesWithFiles(ctx, p)
	if err != nil {
		return err
	}
	scheme := p.Scheme()
	for e, err := range p.Entries(ctx) {
		if err != nil {
			return err
		}
		r := &bundle.Release{Tag: e.Tag, Layer: catalog.MergeLayers(scheme.Parse(e.Tag), &e.Upstream, e.Operator)}
		if err := r.Layer.Check(); err != nil { // too many files together
			return fmt.Errorf("%s %s: %w", p.Name, e.Tag, err)
		}
		if withFiles(e.Tag) {
			merged := catalog.NewRelease(scheme.Parse(e.Tag), &e.Upstream, e.Operator)
			merged.Hosted = e.Hosted
			if r.Files, err = w.filesOf(&p.Product, p.Rank([]catalog.Release{merged})[0]); err != nil {
				return err
			}
		}
		if err := b.Release(r); err != nil {
			return err
		}
	}
	w.added++
	w.releases += len(p.Tags)
	return nil
}

// releasesWithFiles returns a function that reports whether the bundle contains the files of
// a release.
func (w *bundleWriter) releasesWithFiles(ctx context.Context, p *db.ProductReader) (func(tag string) bool, error) {
	if w.folder == nil || w.latest == 0 {
		return func(string) bool { return w.folder != nil }, nil
	}
	releases, err := p.Releases(ctx)
	if err != nil {
		return nil, err
	}
	tags := map[string]bool{}
	for _, r := range p.Newest(p.Rank(releases), w.latest, time.Now()) {
		tags[r.Tag] = true
	}
	return func(tag string) bool { return tags[tag] }, nil
}

// filesOf returns the files of a release for the bundle, sorted by name.
func (w *bundleWriter) filesOf(p *catalog.Product, r *catalog.Ranked) (files []catalog.HostedFile, err error) {
	named := r.NamedFiles(p)
	if len(w.platforms) > 0 {
		hosted := r.Release // with the files that no list contains
		p.SetLinks(&hosted, func(f *catalog.NamedFile) string { return f.Name })
		named = selectFiles(p, p.Rank([]catalog.Release{hosted})[0], w.platforms).files
	}
	for _, f := range named {
		h := f.Hosted
		if h == nil {
			continue
		}
		if f.State != catalog.FileHosted {
			w.omitted++
			continue
		}
		if !w.folder.Has(mirror.ContentOf(h)) {
			return nil, fmt.Errorf("%s %s: file %s is missing in the folder: run relcheck file verify --repair", p.Name, r.Tag, f.Name)
		}
		file := *h
		file.Name = f.Name
		files = append(files, file)
	}
	slices.SortFunc(files, func(a, b catalog.HostedFile) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}

// summary prints what the bundle contains.
func (w *bundleWriter) summary(file, id string, h bundle.Header, size bundle.Size) {
	fmt.Fprintf(w.out, "created %s: bundle %s with %s, %s, %s\n", file, shortID(id), count(int64(w.added), "product"), count(int64(w.releases), "release"), showSize(size))
	if w.base != nil {
		if size.Omitted == 0 {
			fmt.Fprintf(w.out, "it leaves nothing out, because %s has none of its files\n", w.since)
		}
		fmt.Fprintf(w.out, "it can be applied only after its base, bundle %s\n", shortID(h.Base))
	}
	if w.folder == nil {
		fmt.Fprintln(w.out, "it contains no files, because --files is not set: clients in the closed network cannot download the releases from there")
	}
	if w.omitted > 0 {
		fmt.Fprintf(w.out, "left out %s that are damaged or that upstream has changed: see relcheck file list\n", count(int64(w.omitted), "file"))
	}
}
