package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/db"
)

func productCommand(streams IO) *cobra.Command {
	return group("product", "Manage products.", `
  relcheck product add myapp --title "My App" --repo me/myapp \
    --download 'https://example.com/{tag}/myapp-{os}-{arch}{windows:.exe}' \
    --notes 'https://example.com/notes/{version}'
  relcheck product list`,
		productAdd(streams), productSet(streams), productShow(streams), productList(streams), productRemove(streams), channelCommand(streams))
}

const templateHelp = `URL templates can contain {tag} (v1.2.3), {version} (1.2.3), {os}, {arch}, and
{NAME:TEXT}, which expands to TEXT if the operating system or architecture is NAME.
For each platform, a template gives an http or https URL without a user name, or
nothing.

Tags are read as versions: an optional prefix of the product, an optional v, and numbers
with suffixes, such as v1.2.3, 2026.05.01, 1.2.0rc1, 2026-05-01, and cli/v1.2.3 with
--tag-prefix cli/. A tag that is not a version, such as nightly, is never the latest
release.`

func productAdd(streams IO) *cobra.Command {
	var path, preset string
	c := &cobra.Command{
		Use:   "add [NAME]",
		Short: "Add a product.",
		Long: `Add a product. Its clients use the path /p/NAME. A preset has the settings of a known
program, and NAME can then be left out; other flags change its settings. List the
presets with relcheck preset list.

` + templateHelp,
		Example: `  relcheck product add myapp --title "My App" \
    --download 'https://example.com/{tag}/myapp-{os}-{arch}'
  relcheck product add --preset terraform`,
		RunE: func(cmd *cobra.Command, args []string) error {
			base, note, err := newProduct(args, preset)
			if err != nil {
				return err
			}
			p, err := productPatch(cmd).Apply(base)
			if err != nil {
				return flagError(err)
			}
			if found := catalog.PresetNamed(preset); found != nil {
				if err := found.Check(p); err != nil {
					return flagError(err)
				}
			}
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				if err := s.AddProduct(cmd.Context(), p); err != nil {
					return err
				}
				fmt.Fprintf(streams.Err, "added product %s\n", p.Name)
				if note != "" {
					fmt.Fprintln(streams.Err, note)
				}
				if preset != "" {
					if p.Upstreams != "" || p.Module != "" {
						fmt.Fprintf(streams.Err, "add its releases with relcheck release sync %s\n", p.Name)
					}
					base, _, err := baseURL(cmd.Context(), s)
					if err != nil {
						return err
					}
					fmt.Fprintf(streams.Err, "%s/products/%s/connect shows how to point its clients there\n", base, p.Name)
				}
				return printDialectHints(cmd.Context(), s, p.Name, streams.Err)
			})
		},
	}
	dbFlag(c, &path)
	productFlags(c)
	c.Flags().StringVar(&preset, "preset", "", "`preset` with the settings of a known program")
	return c
}

// newProduct returns a new product, with the settings of a preset and its note, if one is
// given.
func newProduct(args []string, preset string) (p catalog.Product, note string, err error) {
	if preset != "" {
		found := catalog.PresetNamed(preset)
		if found == nil {
			return p, "", unknownPreset(preset)
		}
		p, note = found.Product, found.Note
	} else if len(args) == 0 {
		return p, "", usageError("missing NAME: name the product, or give --preset")
	}
	if len(args) > 0 {
		p.Name = args[0]
	}
	return p, note, nil
}

// printDialectHints prints which dialects of a product are not answered.
func printDialectHints(ctx context.Context, s *db.Store, name string, w io.Writer) error {
	all, err := s.Products(ctx)
	if err == nil {
		printLines(w, server.DialectHints(name, all))
	}
	return err
}

func productSet(streams IO) *cobra.Command {
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "Change a product.",
		Long:  "Change a product. Settings whose flag is not given stay unchanged; an empty value ('')\nclears a setting.\n\n" + templateHelp,
		Example: `  relcheck product set myapp --repo me/myapp
  relcheck product set myapp --tag-prefix cli/ --match '<2000' --min-age 24h`,
	}
	productFlags(c)
	return existingStoreCommand(c, func(ctx context.Context, s *db.Store, args []string) error {
		patch := productPatch(c)
		if len(patch) == 0 {
			return usageError("nothing to change: give a flag such as --title")
		}
		if err := setProduct(ctx, s, args[0], func(catalog.Product) (catalog.ProductPatch, error) { return patch, nil }); err != nil {
			return err
		}
		fmt.Fprintf(streams.Err, "changed product %s\n", args[0])
		changes := func(field string) bool { _, ok := patch[field]; return ok }
		if changes("hosts") || changes("dialects") {
			if err := printDialectHints(ctx, s, args[0], streams.Err); err != nil {
				return err
			}
		}
		if slices.ContainsFunc([]string{"file", "tag_prefixes", "release_suffix", "match", "min_age", "require_files"}, changes) { // what is offered
			return printProductHints(ctx, s, args[0], changes("file"), streams.Err)
		}
		return nil
	})
}

// setProduct changes a product.
func setProduct(ctx context.Context, s *db.Store, name string, patch func(catalog.Product) (catalog.ProductPatch, error)) error {
	p, err := s.Product(ctx, name)
	if err != nil {
		return err
	}
	changes, err := patch(p)
	if err != nil {
		return flagError(err)
	}
	if p, err = changes.Apply(p); err != nil {
		return flagError(err)
	}
	return s.SetProduct(ctx, p)
}

func productShow(streams IO) *cobra.Command {
	var staleAfter time.Duration
	c := showCommand(streams, &cobra.Command{
		Use:     "show NAME",
		Short:   "Show the settings of a product, and what it offers.",
		Example: "  relcheck product show myapp",
	}, func(ctx context.Context, s *db.Store, args []string, o *output) error {
		p, ranked, err := rankedReleases(ctx, s, args[0])
		if err != nil {
			return err
		}
		o.value = server.ProductDocument(*p, unranked(ranked), time.Now(), staleAfter)
		settings := &list{heads: []string{"setting", "value"}}
		for _, name := range catalog.ProductFields {
			if name != "channels" {
				settings.row(flagOf(name), p.Field(name))
			}
		}
		o.add(settings, channelsOf(p, ranked))
		addFreshness(o, p, staleAfter)
		all, err := s.Products(ctx)
		o.notes = append(o.notes, server.DialectHints(p.Name, all)...)
		return err
	})
	staleFlag(c, &staleAfter)
	return c
}

// unranked returns releases without their order.
func unranked(ranked []*catalog.Ranked) (all []catalog.Release) {
	for _, r := range ranked {
		all = append(all, r.Release)
	}
	return all
}

// addFreshness adds when each upstream was synced.
func addFreshness(o *output, p *catalog.Product, staleAfter time.Duration) {
	l := &list{heads: []string{"upstream", "synced", "latest there", "state"}}
	for _, f := range p.Freshness(time.Now(), staleAfter) {
		state := "ok"
		switch {
		case f.Stale:
			state = "STALE"
		case f.Error != "":
			state = "failed"
		}
		l.row(f.Upstream, f.Ago(), f.Latest, state)
		if f.Error != "" {
			o.notes = append(o.notes, masked(fmt.Sprintf("the last sync with %s failed: %s", f.Upstream, f.Error)))
		}
	}
	if len(l.rows) > 0 {
		o.add(l)
	}
}

// flagError returns an error of a field as a usage error that names its flag.
func flagError(err error) error {
	m, ok := errors.AsType[*catalog.FieldError](err)
	switch {
	case !ok:
		return err
	case m.Field == "name" || m.Field == "version":
		return usageError("%s", m.Text)
	}
	return usageError("--%s: %s", flagOf(m.Field), m.Text)
}

func productList(streams IO) *cobra.Command {
	var staleAfter time.Duration
	c := showCommand(streams, &cobra.Command{
		Use:     "list",
		Short:   "List products. relcheck product show prints all settings of one.",
		Example: `  relcheck product list`,
	}, func(ctx context.Context, s *db.Store, _ []string, o *output) error {
		products, err := s.Products(ctx)
		if err != nil {
			return err
		}
		l := &list{name: "products", heads: []string{"name", "title", "repository", "synced"}}
		for _, p := range products {
			synced := ""
			if f := catalog.Oldest(p.Freshness(time.Now(), staleAfter)); f != nil {
				if synced = f.Ago(); f.Stale {
					synced += " (stale)"
				}
			}
			l.row(p.Name, p.Title, p.Repo, synced)
			if o.asJSON { // only then are the releases needed
				releases, err := s.Releases(ctx, p.Name)
				if err != nil {
					return err
				}
				l.item(server.ProductDocument(p, releases, time.Now(), staleAfter))
			}
		}
		o.add(l)
		return nil
	})
	staleFlag(c, &staleAfter)
	return c
}

func productRemove(streams IO) *cobra.Command {
	var yes bool
	c := existingStoreCommand(&cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a product and its releases.",
		Example: `  relcheck product remove myapp`,
	}, func(ctx context.Context, s *db.Store, args []string) error {
		err := s.RemoveProduct(ctx, args[0], yes)
		if errors.Is(err, db.ErrInUse) {
			return fmt.Errorf("%w: add --with-reports to remove them", err)
		}
		return streams.done(err, "removed product %s", args[0])
	})
	c.Flags().BoolVar(&yes, "with-reports", false, "also remove the product's reports and statistics")
	return c
}
