package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"relcheck/checker/bundle"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

const (
	defaultThreshold = 10
	// settle is the time after the end of a day at which all its reports are recorded, also by
	// servers whose clocks are late.
	settle = 10 * time.Minute
)

// countsOptions are the flags of relcheck bundle counts.
type countsOptions struct {
	site, key string
	threshold int64
}

func bundleCounts(streams IO) *cobra.Command {
	var o countsOptions
	c := &cobra.Command{
		Use:   "counts FILE [PRODUCT...]",
		Short: "Write the counts of this store, for the statistics of another one.",
		Long: `Write the counts of products by day, week and four weeks to a signed archive, which relcheck
bundle apply adds to the statistics of another store as those of a site.

The archive contains numbers of reports, checks, installations and instances, and heaps, by version and platform.
It contains no instance IDs and nothing from which one could be tested. Without PRODUCT, it
contains all products that have reports. The last day in it is yesterday.

All counts are rounded down to a multiple of --threshold. Versions and platforms with fewer
instances and installations than that are added up as "other". So neither a count nor a
difference of counts reveals fewer instances. Always use the same threshold.`,
		Example: `  relcheck bundle counts 2026-11.counts --key site.key --site factory
  relcheck bundle counts opa.counts opa --key site.key --threshold 50`,
		Args: func(cmd *cobra.Command, args []string) error { return checkArgs(cmd, args[:min(1, len(args))]) },
	}
	c.Flags().StringVar(&o.site, "site", "", "`name` of this store in the other one (default: site- and the beginning of the store's ID)")
	c.Flags().Int64Var(&o.threshold, "threshold", defaultThreshold, "smallest `number` of instances that is shown (1: exact counts)")
	c.Flags().StringVar(&o.key, "key", "", "`file` of the secret key that signs the bundle, see relcheck key generate")
	return existingStoreCommand(c, func(ctx context.Context, s *db.Store, args []string) error {
		switch {
		case o.key == "":
			return usageError("missing --key: give the file of a secret key; relcheck key generate creates one")
		case o.threshold < 1:
			return usageError("--threshold %d: enter a positive number", o.threshold)
		case o.site != "" && !rollup.ValidSite(o.site):
			return usageError("--site: %q cannot be the name of a site: use lower-case letters, digits, and . _ - after the first one, and not %q", o.site, rollup.LocalSite)
		}
		signer, _, err := readSecretKey(o.key, streams.Err)
		if err != nil {
			return err
		}
		w := countsWriter{store: s, countsOptions: o, signer: signer, out: streams.Err}
		return w.create(ctx, args[0], args[1:])
	})
}

// countsWriter creates a bundle of counts.
type countsWriter struct {
	store *db.Store
	countsOptions
	signer note.Signer
	out    io.Writer

	products, cells int64
	first           rollup.Day // of all counts
}

func (w *countsWriter) create(ctx context.Context, file string, products []string) error {
	tidy(w.out, file)
	h := bundle.Header{Created: time.Now()}
	h.Site = &bundle.Site{Name: w.site, Threshold: w.threshold, Through: rollup.DayOf(h.Created.Add(-settle)) - 1}
	var err error
	if h.Store, err = storeID(ctx, w.store); err != nil {
		return err
	}
	if w.site == "" {
		h.Site.Name = "site-" + h.Store[:8]
	}
	if _, err := w.store.Fold(ctx); err != nil {
		return fmt.Errorf("the last day may be incomplete: %w", err)
	}
	var id string
	err = writeBundle(ctx, file, func(out io.Writer) (err error) {
		id, err = w.write(ctx, out, h, products)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w.out, "created %s: bundle %s with counts of site %s from %s to %s, %s, %s\n",
		file, shortID(id), h.Site.Name, w.first, h.Site.Through, count(w.products, "product"), count(w.cells, "row"))
	return nil
}

func (w *countsWriter) write(ctx context.Context, out io.Writer, h bundle.Header, products []string) (id string, err error) {
	names, err := productsOrAll(ctx, w.store, products)
	if err != nil {
		return "", err
	}
	sequences, err := w.store.NextBundleSequences(ctx, names, h.Created)
	if err != nil {
		return "", err
	}
	b, err := bundle.NewWriter()
	if err != nil {
		return "", err
	}
	defer b.Close()
	for _, name := range names {
		before := w.cells
		if err := w.addProduct(ctx, b, h.Site, name, sequences[name]); err != nil {
			return "", err
		}
		if len(products) > 0 && w.cells == before {
			return "", fmt.Errorf("product %s has no counts of at least %d until %s", name, w.threshold, h.Site.Through)
		}
	}
	if w.cells == 0 {
		return "", fmt.Errorf("no product has counts of at least %d until %s", w.threshold, h.Site.Through)
	}
	return b.Write(out, h, w.signer, nil, nil)
}

// addProduct adds a product with its counts, unless it has none.
func (w *countsWriter) addProduct(ctx context.Context, b *bundle.Writer, s *bundle.Site, name string, sequence int64) error {
	released, err := w.releasedVersions(ctx, name)
	if err != nil {
		return err
	}
	added := false
	return w.store.Cells(ctx, name, s.Through, func(cells []rollup.Cell) error {
		for _, c := range rollup.HideSmall(cells, s.Threshold, released) {
			if !added {
				if err := b.Product(&bundle.Product{Name: name, Sequence: sequence}); err != nil {
					return err
				}
				added = true
				w.products++
			}
			if w.cells == 0 || c.Day < w.first {
				w.first = c.Day
			}
			w.cells++
			if err := b.Cell(&c); err != nil {
				return err
			}
		}
		return nil
	})
}

// releasedVersions returns a function that reports whether a version is that of a release.
func (w *countsWriter) releasedVersions(ctx context.Context, product string) (func(version string) bool, error) {
	p, ranked, err := rankedReleases(ctx, w.store, product)
	if err != nil {
		return nil, err
	}
	scheme, tags := p.Scheme(), map[string]bool{}
	for _, r := range ranked {
		tags[scheme.Trim(r.Tag)] = true
	}
	return func(version string) bool { return tags[scheme.Trim(version)] }, nil
}

// applyCounts applies a bundle of counts.
func (a *bundleApplication) applyCounts(ctx context.Context, b *bundle.Reader) error {
	header := db.SiteBundle{
		Bundle: db.Bundle{ID: b.ID, Store: b.Store, Expires: b.Expires, Created: b.Created, Time: time.Now(), Keys: a.trusted.keysOf(b.Keys), DryRun: a.dryRun},
		Site:   b.Site.Name, Rename: a.site, Threshold: b.Site.Threshold, Through: b.Site.Through,
	}
	var products []*db.CountedProduct
	for _, p := range b.Products {
		products = append(products, &db.CountedProduct{Name: p.Name, Sequence: p.Sequence, Cells: b.Cells(p)})
	}
	results, err := a.store.ApplyCounts(ctx, header, products)
	if err != nil {
		return err
	}
	for _, r := range results {
		a.site = r.Site
		if a.repeated = a.repeated && r.Repeated; !r.Repeated {
			fmt.Fprintf(a.out, "%s: %s of site %s through %s, instead of %s\n", r.Product, count(r.Cells, "row"), r.Site, b.Site.Through, stats.ShowNumber(r.Removed))
		}
	}
	a.summary(b)
	return nil
}

// inspectedCounts are the counts of a product in a bundle, in JSON.
type inspectedCounts struct {
	Product          string `json:"product"`
	Sequence         int64  `json:"sequence"`
	From             string `json:"from"`
	To               string `json:"to"`
	Builds           int    `json:"builds"`
	Rows             int64  `json:"rows"`
	Reports          int64  `json:"reports"`
	NewInstallations int64  `json:"new_installations"`
}

// countsIn lists the products of a bundle of counts.
func countsIn(b *bundle.Reader) (*list, error) {
	l := &list{heads: []string{"product", "sequence", "from", "to", "builds", "rows", "reports", "new installations"}}
	for _, p := range b.Products {
		var first, last rollup.Day
		one := inspectedCounts{Product: p.Name, Sequence: p.Sequence}
		builds := map[rollup.Build]bool{}
		for c, err := range b.Cells(p) {
			if err != nil {
				return nil, err
			}
			if one.Rows == 0 {
				first = c.Day
			}
			if c.Span == rollup.OneDay {
				one.Reports += c.Reports
				one.NewInstallations += c.New
			}
			one.Rows, last = one.Rows+1, max(last, c.Range().To)
			builds[c.Build] = true
		}
		one.From, one.To, one.Builds = first.String(), last.String(), len(builds)
		l.item(one)
		l.row(p.Name, fmt.Sprint(p.Sequence), one.From, one.To, stats.ShowNumber(int64(one.Builds)), stats.ShowNumber(one.Rows), stats.ShowNumber(one.Reports), stats.ShowNumber(one.NewInstallations))
	}
	return l, nil
}
