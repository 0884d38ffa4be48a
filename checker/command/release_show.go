package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/db"
)

func releaseShow(streams IO) *cobra.Command {
	var asJSON bool
	c := existingStoreCommand(&cobra.Command{
		Use:   "show PRODUCT TAG",
		Short: "Show a release, the source of each value, and why each file was chosen.",
		Long: `Show everything that is known about a release: each value with its source (upstream
or operator), the file that is offered for each platform and why, and the other files.`,
		Example: "  relcheck release show opa v1.22.2",
	}, func(ctx context.Context, s *db.Store, args []string) error {
		product, err := s.Product(ctx, args[0])
		if err != nil {
			return err
		}
		r, layers, err := s.Release(ctx, args[0], args[1])
		if err != nil {
			return err
		}
		if asJSON {
			releases, err := s.Releases(ctx, args[0])
			if err != nil {
				return err
			}
			return printJSON(streams, server.ReleaseDocument(product, releases, r, layers, time.Now()))
		}
		if err := printList(streams.Out, []string{"field", "value", "from"}, releaseFields(&product, &r, layers)); err != nil {
			return err
		}
		fmt.Fprintln(streams.Out)
		return printFiles(streams, &product, &r)
	})
	jsonFlag(c, &asJSON)
	return c
}

// releaseFields returns the rows of a release: a field, its value and its source.
func releaseFields(p *catalog.Product, r *catalog.Release, layers [2]*catalog.Layer) (rows [][]string) {
	for _, v := range p.Values(r, layers) {
		rows = append(rows, []string{v.Name, v.Text, v.Source})
	}
	return rows
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// printFiles prints the file that is offered for each platform and why, and then the other
// files.
func printFiles(streams IO, p *catalog.Product, r *catalog.Release) error {
	d := p.Downloads(r)
	byPlatform := d.ByPlatform()
	platforms := make([]checker.Platform, 0, len(byPlatform))
	for platform := range byPlatform {
		platforms = append(platforms, platform)
	}
	slices.SortFunc(platforms, func(a, b checker.Platform) int { return strings.Compare(a.String(), b.String()) })
	var rows [][]string
	for _, platform := range platforms {
		name := platform.String()
		if platform == checker.Other {
			name = "all"
		}
		f := byPlatform[platform]
		why := d.Reason(platform)
		if named := p.NamedFiles(r).Of(f); named != nil && named.Hosted != nil {
			why += "; hosted, " + named.Status()
		}
		rows = append(rows, []string{name, f.Name, why})
	}
	if len(rows) == 0 && p.Download != "" {
		_, err := fmt.Fprintf(streams.Out, "The download of each platform is made from the template %s\n", p.Download)
		return err
	}
	if err := printList(streams.Out, []string{"platform", "download", "why"}, rows); err != nil {
		return err
	}
	rows = nil
	for i, f := range d.Named {
		if reason := d.WhyNot(i); reason != "" {
			rows = append(rows, []string{f.Name, reason})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(streams.Out)
	return printList(streams.Out, []string{"other file", "why not"}, rows)
}
