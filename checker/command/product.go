package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
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
	flags := newProductFlags()
	c := &cobra.Command{
		Use:   "add [NAME]",
		Short: "Add a product.",
		Long: `Add a product. Its clients use the path /p/NAME. A preset has the settings of a known
program, and NAME can then be left out; other flags change its settings. List the
presets with relcheck preset list.

` + templateHelp,
		Example: `  relcheck product add myapp --title "My App" --download 'https://example.com/{tag}/myapp-{os}-{arch}'
  relcheck product add --preset terraform`,
		RunE: func(cmd *cobra.Command, args []string) error {
			base, note, err := newProduct(args, preset)
			if err != nil {
				return err
			}
			p, err := flags.patch(cmd).Apply(base)
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
					fmt.Fprintf(streams.Err, "the page /products/%s/connect of the service shows how to point its clients there\n", p.Name)
				}
				return printDialectHints(cmd.Context(), s, p.Name, streams.Err)
			})
		},
	}
	dbFlag(c, &path)
	flags.add(c)
	c.Flags().StringVar(&preset, "preset", "", "`preset` with the settings of a known program")
	return c
}

// newProduct returns a new product, with the settings of a preset and its note, if one is
// given.
func newProduct(args []string, preset string) (p catalog.Product, note string, err error) {
	if preset != "" {
		found := catalog.PresetNamed(preset)
		if found == nil {
			return p, "", usageError("--preset: there is no preset %q: list them with relcheck preset list", preset)
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
	flags := newProductFlags()
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "Change a product.",
		Long:  "Change a product. Settings whose flag is not given stay unchanged; an empty value ('')\nclears a setting.\n\n" + templateHelp,
		Example: `  relcheck product set myapp --repo me/myapp
  relcheck product set myapp --tag-prefix cli/ --match '<2000' --min-age 24h`,
	}
	flags.add(c)
	return existingStoreCommand(c, func(ctx context.Context, s *db.Store, args []string) error {
		patch := flags.patch(c)
		if len(patch) == 0 {
			return usageError("nothing to change: give a flag such as --title")
		}
		if err := setProduct(ctx, s, args[0], func(catalog.Product) (catalog.ProductPatch, error) { return patch, nil }); err != nil {
			return err
		}
		fmt.Fprintf(streams.Err, "changed product %s\n", args[0])
		for _, name := range []string{"hosts", "dialects"} {
			if _, ok := patch[name]; ok {
				if err := printDialectHints(ctx, s, args[0], streams.Err); err != nil {
					return err
				}
				break
			}
		}
		_, checkFiles := patch["file"]
		for _, name := range []string{"file", "tag_prefixes", "release_suffix", "match", "min_age", "require_files"} {
			if _, ok := patch[name]; ok { // it changes what is offered
				return printProductHints(ctx, s, args[0], checkFiles, streams.Err)
			}
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

// flagNames are the flags of the fields of a product whose names differ. Flags that can
// be repeated are in the singular.
var flagNames = map[string]string{"origins": "origin", "tag_prefixes": "tag-prefix", "release_suffix": "release-suffix", "min_age": "min-age", "require_files": "require-files",
	"upstreams": "upstream", "aliases": "alias", "hosts": "host", "dialects": "dialect", "notes_here": "notes-here"}

// flagOf returns the name of the flag for a field of a product or release.
func flagOf(field string) string { return cmp.Or(flagNames[field], field) }

// productFlags are flags for the fields of a product.
type productFlags struct {
	texts map[string]*string
	lists map[string]*[]string
	bools map[string]*bool
}

func newProductFlags() *productFlags {
	f := &productFlags{texts: map[string]*string{}, lists: map[string]*[]string{}, bools: map[string]*bool{}}
	for _, name := range []string{"title", "repo", "download", "notes", "file", "release_suffix", "match", "min_age", "links"} {
		f.texts[name] = new(string)
	}
	for _, name := range []string{"module", "origins", "tag_prefixes", "upstreams", "aliases", "hosts", "dialects"} {
		f.lists[name] = new([]string)
	}
	for _, name := range []string{"require_files", "notes_here", "hidden"} {
		f.bools[name] = new(bool)
	}
	return f
}

// add adds the flags to a command.
func (f *productFlags) add(c *cobra.Command) {
	for name, usage := range map[string]string{
		"title":          "display name (default: NAME)",
		"repo":           "`OWNER/REPO` under which clients of GitHub's API request the product",
		"download":       "`template` of the download URLs",
		"notes":          "`template` of the release notes URL",
		"file":           "`template` of the name of the file to download, such as app_{version}_{os}_{arch}.tar.gz (default: chosen by the names of all files)",
		"release_suffix": "`pattern` of tag suffixes that mark a later release, not a pre-release, such as [0-9]+ for 1.2-1",
		"match":          "`range` of versions that can be the latest release, such as '<2000' or '>=1.4,<3'",
		"links":          "`target` of links to files: hosted, upstream, or hosted-only, which never links to other servers (default: hosted)",
		"min_age":        "`time` from the publication of a release to its first offer, such as 24h or 7d",
	} {
		c.Flags().StringVar(f.texts[name], flagOf(name), "", usage)
	}
	for name, usage := range map[string]string{
		"module":       "Go module `path`, for relcheck release sync; can be repeated",
		"origins":      "`origin` of web pages whose reports are recorded: a URL, null, or a scheme such as app: for all its origins; can be repeated",
		"upstreams":    "`upstream` whose releases relcheck release sync reads: github:OWNER/REPO, go:MODULE, relcheck:URL or file:PATH; can be repeated",
		"aliases":      "`name` of the product in other dialects, such as @me/app on an npm registry; can be repeated",
		"hosts":        "`host` whose requests belong to the product, such as updates.example.com; can be repeated",
		"dialects":     "`dialect` of other update clients that the product answers, see relcheck dialect list; can be repeated",
		"tag_prefixes": "`prefix` of the product's tags, such as cli/; other tags belong to other components; can be repeated, also with '' for tags without a prefix",
	} {
		c.Flags().StringArrayVar(f.lists[name], flagOf(name), nil, usage)
	}
	for name, usage := range map[string]string{
		"require_files": "offer a release once it has files for the platforms of the previous release, or after 24h",
		"notes_here":    "link to release notes on the pages of relcheck",
		"hidden":        "leave the product out of the lists of pages",
	} {
		c.Flags().BoolVar(f.bools[name], flagOf(name), false, usage)
	}
}

// patch returns the changes of the flags that were given.
func (f *productFlags) patch(c *cobra.Command) catalog.ProductPatch {
	changes := catalog.ProductPatch{}
	for name, value := range f.texts {
		if c.Flags().Changed(flagOf(name)) {
			changes[name] = *value
		}
	}
	for name, list := range f.lists {
		if c.Flags().Changed(flagOf(name)) {
			values := slices.Clone(*list)
			for i, value := range values {
				if name == "tag_prefixes" && value == "" && len(values) > 1 {
					values[i] = "v" // stands for tags without a prefix
				}
			}
			changes[name] = strings.Join(values, " ")
		}
	}
	for name, value := range f.bools {
		if c.Flags().Changed(flagOf(name)) {
			changes[name] = strconv.FormatBool(*value)
		}
	}
	return changes
}

func productShow(streams IO) *cobra.Command {
	var staleAfter time.Duration
	c := existingStoreCommand(&cobra.Command{
		Use:     "show NAME",
		Short:   "Show the settings of a product, and what it offers.",
		Example: "  relcheck product show myapp",
	}, func(ctx context.Context, s *db.Store, args []string) error {
		p, ranked, err := rankedReleases(ctx, s, args[0])
		if err != nil {
			return err
		}
		var rows [][]string
		for _, name := range catalog.ProductFields {
			if value := p.Field(name); name != "channels" {
				rows = append(rows, []string{flagOf(name), value})
			}
		}
		if err := printList(streams.Out, []string{"setting", "value"}, rows); err != nil {
			return err
		}
		fmt.Fprintln(streams.Out)
		if err := printChannels(streams, p, ranked); err != nil {
			return err
		}
		if err := printFreshness(streams, p, staleAfter); err != nil {
			return err
		}
		return printDialectHints(ctx, s, args[0], streams.Err)
	})
	staleFlag(c, &staleAfter)
	return c
}

// printFreshness prints when each upstream was synced.
func printFreshness(streams IO, p *catalog.Product, staleAfter time.Duration) error {
	var rows [][]string
	var failures []string
	for _, f := range p.Freshness(time.Now(), staleAfter) {
		state := "ok"
		switch {
		case f.Stale:
			state = "STALE"
		case f.Error != "":
			state = "failed"
		}
		rows = append(rows, []string{f.Upstream, f.Ago(), f.Latest, state})
		if f.Error != "" {
			failures = append(failures, fmt.Sprintf("the last sync with %s failed: %s", f.Upstream, f.Error))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(streams.Out)
	err := printList(streams.Out, []string{"upstream", "synced", "latest there", "state"}, rows)
	for _, failure := range failures {
		fmt.Fprintln(streams.Err, masked(failure))
	}
	return err
}

// flagError returns an error of a field as a usage error that names its flag.
func flagError(err error) error {
	m := (*catalog.FieldError)(nil)
	switch {
	case !errors.As(err, &m):
		return err
	case m.Field == "name" || m.Field == "version":
		return usageError("%s", m.Text)
	}
	return usageError("--%s: %s", flagOf(m.Field), m.Text)
}

func productList(streams IO) *cobra.Command {
	var staleAfter time.Duration
	c := existingStoreCommand(&cobra.Command{
		Use:     "list",
		Short:   "List products. relcheck product show prints all settings of one.",
		Example: `  relcheck product list`,
	}, func(ctx context.Context, s *db.Store, _ []string) error {
		products, err := s.Products(ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, p := range products {
			synced := ""
			if f := catalog.Oldest(p.Freshness(time.Now(), staleAfter)); f != nil {
				if synced = f.Ago(); f.Stale {
					synced += " (stale)"
				}
			}
			rows = append(rows, []string{p.Name, p.Title, p.Repo, synced})
		}
		return printList(streams.Out, []string{"name", "title", "repository", "synced"}, rows)
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
		if err == nil {
			fmt.Fprintf(streams.Err, "removed product %s\n", args[0])
		}
		return err
	})
	c.Flags().BoolVar(&yes, "with-reports", false, "also remove the product's reports and statistics")
	return c
}
