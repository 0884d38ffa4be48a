package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
	"relcheck/checker/upstream"
	"relcheck/db"
)

func releaseImport(streams IO) *cobra.Command {
	var path string
	var force bool
	c := &cobra.Command{
		Use:   "import PRODUCT FILE",
		Short: "Import releases from a file.",
		Long: `Import releases from a file in the format of GitHub's releases API (one object or an
array of them), of relcheck's own API, or of relcheck release export; - reads standard
input. Changes that were made with relcheck release add stay. Of the settings in an
export, those that the product here does not have yet are applied.

Entries that cannot be read are skipped and reported. Releases that an earlier file
contained are removed if this one lacks them. If the file is no export, releases without
a date and releases that are older than all its entries stay. Drafts are removed too.

If the file lacks more than half of the releases, nothing is imported without --force.
The same applies if it lacks the latest release, unless relcheck release export wrote
the file.`,
		Example: `  relcheck release import opa releases.json
  curl -s https://github.example.com/api/v3/repos/me/myapp/releases |
    relcheck release import myapp -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := open(args[1], streams.In)
			if err != nil {
				return err
			}
			defer file.Close()
			list, err := upstream.ReadReleases(file)
			if err != nil {
				return fmt.Errorf("import %s: %w: nothing was imported", args[1], err)
			}
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				return explainNotFound(cmd, s, args, importList(cmd.Context(), s, args[0], "import "+args[1], list, force, streams))
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().BoolVar(&force, "force", false, "import the file even if most releases or the latest one would be removed")
	return c
}

// importList imports a list, and prints the result and what the operator should know.
// Errors begin with what is done.
func importList(ctx context.Context, s *db.Store, product, what string, list catalog.List, force bool, streams IO) error {
	if len(list.Entries) == 0 && !force {
		return fmt.Errorf("%s: it contains no releases: nothing was imported", what)
	}
	c, err := s.ImportReleases(ctx, product, list, force)
	if errors.Is(err, catalog.ErrMissing) {
		return fmt.Errorf("%s: %w: nothing was imported; give the whole list, or add --force to remove them", what, err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(streams.Err, "%s: %v\n", product, c)
	printSkipped(streams.Err, list.Skipped)
	if list.Hint != "" {
		fmt.Fprintln(streams.Err, list.Hint)
	}
	if err := importSettings(ctx, s, product, list.Settings, streams.Err); err != nil {
		return fmt.Errorf("the releases were imported, but not the settings of %s: %w", product, err)
	}
	if c.Added+c.Changed+c.Gone == 0 && list.Settings == nil { // nothing has changed
		return nil
	}
	return printProductHints(ctx, s, product, false, streams.Err)
}

// printSkipped prints the entries of a list that could not be read.
func printSkipped(w io.Writer, all []string) {
	const maxShown = 20
	for _, skipped := range all[:min(maxShown, len(all))] {
		fmt.Fprintf(w, "skipped %s\n", skipped)
	}
	if len(all) > maxShown {
		fmt.Fprintf(w, "and %d more\n", len(all)-maxShown)
	}
}

// importSettings applies the settings of an export that the product lacks. It prints which
// they are, and which are not applied. If export is nil, it does nothing.
func importSettings(ctx context.Context, s *db.Store, name string, export catalog.ProductPatch, w io.Writer) error {
	if export == nil {
		return nil
	}
	var missing catalog.ProductPatch
	var different []string
	change := func(p catalog.Product) (catalog.ProductPatch, error) {
		missing, different = p.CompareSettings(export)
		return missing, nil
	}
	err := setProduct(ctx, s, name, change)
	if errors.Is(err, db.ErrInUse) { // by another product of this store
		export = maps.Clone(export)
		delete(export, "repo")
		fmt.Fprintf(w, "left out the repository: %v\n", err)
		err = setProduct(ctx, s, name, change)
	}
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		fmt.Fprintf(w, "applied these settings of the export to %s: %s\n", name, flagList(slices.Sorted(maps.Keys(missing))))
	}
	if len(different) > 0 {
		command := "relcheck product set " + name
		if slices.Contains(different, "channels") {
			command += " and relcheck product channel"
		}
		fmt.Fprintf(w, "%s keeps its own settings, which differ from the export: %s; change them with %s\n", name, flagList(different), command)
	}
	return nil
}

// flagList returns the names of the flags for fields of a product.
func flagList(fields []string) string {
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = flagOf(field)
	}
	return strings.Join(names, ", ")
}

// printProductHints prints what may be unexpected about the releases after an import or a
// change of the product, and whether its file template gives no file if checkFile is set.
func printProductHints(ctx context.Context, s *db.Store, product string, checkFile bool, w io.Writer) error {
	p, ranked, err := rankedReleases(ctx, s, product)
	if err != nil {
		return err
	}
	offer := p.Offer(ranked, nil, time.Now())
	printLines(w, p.Hints(ranked, &offer))
	if r := offer.Latest; checkFile && r != nil && p.File != "" {
		if d := r.Downloads(p); len(d.Named) > 0 && len(d.Selection.Downloads) == 0 {
			fmt.Fprintf(w, "no file of %s, the latest release, has a name that --file gives: compare with relcheck release show %s %s\n", r.Tag, p.Name, printable.QuoteShell(r.Tag))
		}
	}
	return nil
}

// rankedReleases returns a product and its releases.
func rankedReleases(ctx context.Context, s *db.Store, product string) (*catalog.Product, []*catalog.Ranked, error) {
	p, err := s.Product(ctx, product)
	if err != nil {
		return nil, nil, err
	}
	releases, err := s.Releases(ctx, product)
	if err != nil {
		return nil, nil, err
	}
	return &p, p.Rank(releases), nil
}

func releaseExport(streams IO) *cobra.Command {
	return existingStoreCommand(&cobra.Command{
		Use:   "export PRODUCT",
		Short: "Write everything known about a product's releases as JSON.",
		Long: `Write everything that is known about a product's releases to standard output: what
upstream says and what was set here, and the settings of the product. relcheck release
import reads it without loss.`,
		Example: "  relcheck release export opa > opa.json",
	}, func(ctx context.Context, s *db.Store, args []string) error {
		product, err := s.Product(ctx, args[0])
		if err != nil {
			return err
		}
		return upstream.WriteExport(streams.Out, product, s.Entries(ctx, args[0]))
	})
}
