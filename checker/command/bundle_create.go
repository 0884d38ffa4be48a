package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
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
	"relcheck/db/backup"
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
  relcheck bundle create opa.bundle --product opa --latest 2 --platform linux/amd64 --files /srv/relcheck --key release.key --expires 30d
  relcheck bundle create 2026-12.bundle --since 2026-11.bundle --files /srv/relcheck --key release.key`,
	}
	c.Flags().StringArrayVar(&o.products, "product", nil, "`name` of a product (default: all that have releases); can be repeated")
	c.Flags().IntVar(&o.latest, "latest", 0, "`number` of the newest releases whose files are included, in each channel (default: all)")
	c.Flags().StringSliceVar(&o.platformTexts, "platform", nil, "`OS/ARCH` of the files that are included, separated by commas (default: all)")
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
		return withFolder(o.files, false, func(f *mirror.Folder) error {
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

	chosen   map[string]map[string][]bundle.File // by product and tag
	releases int
	omitted  int // number of files that cannot be served
}

func (w *bundleWriter) create(ctx context.Context, file string) (err error) {
	tidy(w.out, file)
	names, err := w.productNames(ctx)
	if err != nil {
		return err
	}
	h := bundle.Header{Created: time.Now(), Expires: w.expires}
	if h.Store, err = storeID(ctx, w.store); err != nil {
		return err
	}
	contents, err := w.chooseFiles(ctx, names)
	if err != nil {
		return err
	}
	if w.since != "" {
		if h.Base, err = w.leaveOut(ctx, contents, h.Store); err != nil {
			return fmt.Errorf("--since %s: %w", w.since, err)
		}
	}
	pending, err := backup.NewPendingFile(file)
	if err != nil {
		return err
	}
	defer pending.Discard()
	sequences, err := w.store.NextBundleSequences(ctx, names, time.Now())
	if err != nil {
		return err
	}
	id, err := w.write(ctx, pending.Path, h, sequences, contents)
	w.progress.clear()
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted: nothing was written")
	}
	if err == nil {
		err = pending.Commit()
	}
	if err != nil {
		return explainDisk(err)
	}
	w.summary(file, id, h, len(names), contents)
	return nil
}

// productNames returns the names of the products of the bundle.
func (w *bundleWriter) productNames(ctx context.Context) ([]string, error) {
	var names []string
	all, err := productsOrAll(ctx, w.store, w.products)
	if err != nil {
		return nil, err
	}
	for _, name := range all {
		releases, err := w.store.Releases(ctx, name)
		switch {
		case err != nil:
			return nil, err
		case len(releases) > 0:
			names = append(names, name)
			w.releases += len(releases)
		case len(w.products) > 0:
			return nil, fmt.Errorf("product %s has no releases: add them with relcheck release sync, import or add", name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("no product has releases: add them with relcheck release sync, import or add")
	}
	return names, nil
}

// chooseFiles chooses the files of the bundle and returns their contents.
func (w *bundleWriter) chooseFiles(ctx context.Context, names []string) (contents []bundle.Content, err error) {
	w.chosen = map[string]map[string][]bundle.File{}
	if w.folder == nil {
		return nil, nil
	}
	for _, name := range names {
		p, ranked, err := rankedReleases(ctx, w.store, name)
		if err != nil {
			return nil, err
		}
		if w.latest > 0 {
			ranked = p.Newest(ranked, w.latest, time.Now())
		}
		byTag := map[string][]bundle.File{}
		for _, r := range ranked {
			if byTag[r.Tag], err = w.filesOf(p, r); err != nil {
				return nil, err
			}
			for _, f := range byTag[r.Tag] {
				contents = append(contents, bundle.Content{SHA256: f.SHA256, Size: f.Size})
			}
		}
		w.chosen[name] = byTag
	}
	slices.SortFunc(contents, func(a, b bundle.Content) int { return strings.Compare(a.SHA256, b.SHA256) })
	return slices.Compact(contents), nil
}

// filesOf returns the files of a release for the bundle, sorted by name.
func (w *bundleWriter) filesOf(p *catalog.Product, r *catalog.Ranked) (files []bundle.File, err error) {
	named := r.NamedFiles(p)
	if len(w.platforms) > 0 {
		hosted := r.Release // with the files that no list contains
		p.SetLinks(&hosted, func(f *catalog.NamedFile) string { return f.Name })
		s := selectFiles(p, p.Rank([]catalog.Release{hosted})[0], w.platforms)
		named = append(s.files, s.sums...)
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
		if !w.folder.Has(mirror.Content{SHA256: h.SHA256, Size: h.Size}) {
			return nil, fmt.Errorf("%s %s: file %s is missing in the folder: run relcheck file verify --repair", p.Name, r.Tag, f.Name)
		}
		files = append(files, bundle.File{Name: f.Name, URL: h.URL, SHA256: h.SHA256, SHA512: h.SHA512, Size: h.Size, Verified: h.Verified})
	}
	slices.SortFunc(files, func(a, b bundle.File) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}

// leaveOut marks the contents that the earlier bundle has, and returns its ID. If it marks
// none, the bundle needs no base, and the ID is empty.
func (w *bundleWriter) leaveOut(ctx context.Context, contents []bundle.Content, store string) (base string, err error) {
	f, err := os.Open(w.since)
	if err != nil {
		return "", err
	}
	defer f.Close()
	trusted, err := readTrustedKeys(ctx, w.store)
	if err != nil {
		return "", err
	}
	trusted.verifiers = append(trusted.verifiers, w.verifier)
	b, err := openBundle(f, trusted)
	if err != nil {
		return "", err
	}
	defer b.Close()
	if b.Store != store {
		return "", fmt.Errorf("it is a bundle of another store, %s: give one of this store, %s", b.Store, store)
	}
	has := map[string]bool{}
	for c, err := range b.Contents() {
		if err != nil {
			return "", err
		}
		has[c.SHA256] = true
	}
	for i, c := range contents {
		if has[c.SHA256] {
			contents[i].InBase, base = true, b.ID
		}
	}
	return base, nil
}

// write writes the bundle to a file.
func (w *bundleWriter) write(ctx context.Context, file string, h bundle.Header, sequences map[string]int64, contents []bundle.Content) (id string, err error) {
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return "", err
	}
	defer closing(out, &err)
	for _, c := range contents {
		if !c.InBase {
			w.progress.expect(c.Size)
		}
	}
	w.progress.unknown = false
	if err := out.Chmod(0o644); err != nil { // it contains nothing secret
		return "", err
	}
	return bundle.Write(out, h, w.signer, w.bundleProducts(ctx, sequences), contents, func(sum string) (io.ReadCloser, error) {
		f, err := w.folder.Get(sum)
		return countedFile{f, ctx, &w.progress}, err
	})
}

// countedFile is a file that shows how much of it was read.
type countedFile struct {
	*os.File
	ctx      context.Context
	progress *byteProgress
}

func (f countedFile) Read(p []byte) (int, error) {
	if f.ctx.Err() != nil {
		return 0, context.Cause(f.ctx)
	}
	n, err := f.File.Read(p)
	f.progress.add(int64(n))
	return n, err
}

// bundleProducts iterates over the products of the bundle.
func (w *bundleWriter) bundleProducts(ctx context.Context, sequences map[string]int64) iter.Seq2[*bundle.Product, error] {
	return func(yield func(*bundle.Product, error) bool) {
		for _, name := range slices.Sorted(maps.Keys(sequences)) {
			p, err := w.bundleProduct(ctx, name, sequences[name])
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// bundleProduct returns a product with all its releases. It merges the layers of upstream
// and of the operator, because both are upstream in the closed network.
func (w *bundleWriter) bundleProduct(ctx context.Context, name string, sequence int64) (*bundle.Product, error) {
	p, err := w.store.Product(ctx, name)
	if err != nil {
		return nil, err
	}
	b := &bundle.Product{Name: name, Sequence: sequence, Fields: catalog.ProductPatch{}}
	for _, field := range bundle.Fields {
		if value := p.Field(field); value != "" {
			b.Fields[field] = value
		}
	}
	scheme := p.Scheme()
	for e, err := range w.store.Entries(ctx, name) { // sorted by tag
		if err != nil {
			return nil, err
		}
		layer := catalog.MergeLayers(scheme.Parse(e.Tag), &e.Upstream, e.Operator)
		if err := layer.Check(); err != nil { // too many files together
			return nil, fmt.Errorf("%s %s: %w", name, e.Tag, err)
		}
		b.Releases = append(b.Releases, bundle.Release{Tag: e.Tag, Layer: layer, Files: w.chosen[name][e.Tag]})
	}
	return b, nil
}

// summary prints what the bundle contains.
func (w *bundleWriter) summary(file, id string, h bundle.Header, products int, contents []bundle.Content) {
	var n bundleSize
	for _, c := range contents {
		n.add(c)
	}
	fmt.Fprintf(w.out, "created %s: bundle %s with %s, %s, %v\n", file, shortID(id), count(int64(products), "product"), count(int64(w.releases), "release"), n)
	switch {
	case w.since != "" && h.Base == "":
		fmt.Fprintf(w.out, "it leaves nothing out, because %s has none of its files\n", w.since)
	case h.Base != "":
		fmt.Fprintf(w.out, "it can be applied only after its base, bundle %s\n", shortID(h.Base))
	}
	if w.folder == nil {
		fmt.Fprintln(w.out, "it contains no files, because --files is not set: answers in the closed network will link to upstream")
	}
	if w.omitted > 0 {
		fmt.Fprintf(w.out, "left out %s that are damaged or that upstream has changed: see relcheck file list\n", count(int64(w.omitted), "file"))
	}
}
