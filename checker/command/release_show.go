package command

import (
	"cmp"
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
	up, op := new(catalog.Layer), new(catalog.Layer)
	if layers[catalog.Upstream] != nil {
		up = layers[catalog.Upstream]
	}
	if layers[catalog.Operator] != nil {
		op = layers[catalog.Operator]
	}
	add := func(name, value string, byOperator, byUpstream bool, otherwise string) {
		from := otherwise
		switch {
		case byOperator:
			from = "operator"
		case byUpstream:
			from = cmp.Or(up.List, "upstream")
		}
		if value != "" || byOperator {
			rows = append(rows, []string{name, value, from})
		}
	}
	add("tag", r.Tag, len(layers) > 0 && layers[catalog.Upstream] == nil, layers[catalog.Upstream] != nil, "")
	add("title", r.Title, op.Title != nil, up.Title != nil, "")
	add("date", formatMoment(r.Date), !op.Date().IsZero(), !up.Date().IsZero(), "")
	add("created", formatMoment(r.Created), op.Created != nil, up.Created != nil, "")
	add("notes", p.NotesURL(r), op.Notes != nil, up.Notes != nil, "template")
	text := cmp.Or(op.Text, up.Text)
	if text != nil {
		add("notes text", count(int64(len(*text)), "byte")+" of Markdown", op.Text != nil, up.Text != nil, "")
	}
	add("pre-release", yesNo(r.Prerelease), op.Prerelease != nil, up.Prerelease != nil, "tag")
	add("withdrawn", yesNo(r.Withdrawn)+suffix(r.Reason), op.Withdrawn != nil, up.Withdrawn != nil || up.Gone, "")
	return rows
}

func suffix(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func formatMoment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
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
