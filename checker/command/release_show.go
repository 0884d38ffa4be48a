package command

import (
	"context"
	"maps"
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
	return showCommand(streams, &cobra.Command{
		Use:   "show PRODUCT TAG",
		Short: "Show a release, the source of each value, and why each file was chosen.",
		Long: `Show everything that is known about a release: each value with its source (upstream
or operator), the file that is offered for each platform and why, and the other files.`,
		Example: "  relcheck release show opa v1.22.2",
	}, func(ctx context.Context, s *db.Store, args []string, o *output) error {
		p, err := s.Product(ctx, args[0])
		if err != nil {
			return err
		}
		r, layers, err := s.Release(ctx, args[0], args[1])
		if err != nil {
			return err
		}
		if o.asJSON {
			releases, err := s.Releases(ctx, args[0])
			o.value = server.ReleaseDocument(p, releases, r, layers, time.Now())
			return err
		}
		l := &list{heads: []string{"field", "value", "from"}}
		for _, v := range p.Values(&r, layers) {
			l.row(v.Name, v.Text, v.Source)
		}
		o.add(l)
		addFiles(o, &p, &r)
		return nil
	})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// addFiles adds the file that is offered for each platform and why, and then the other files.
func addFiles(o *output, p *catalog.Product, r *catalog.Release) {
	d := p.Downloads(r)
	byPlatform := d.ByPlatform()
	offered := &list{heads: []string{"platform", "download", "why"}}
	for _, platform := range slices.SortedFunc(maps.Keys(byPlatform), func(a, b checker.Platform) int { return strings.Compare(a.String(), b.String()) }) {
		name := platform.String()
		if platform == checker.Other {
			name = "all"
		}
		f := byPlatform[platform]
		why := d.Reason(platform)
		if named := p.NamedFiles(r).Of(f); named != nil && named.Hosted != nil {
			why += "; hosted, " + named.Status()
		}
		offered.row(name, f.Name, why)
	}
	if len(byPlatform) == 0 && p.Download != "" {
		o.blocks = append(o.blocks, plain("The download of each platform is made from the template "+p.Download))
		return
	}
	o.add(offered)
	others := &list{heads: []string{"other file", "why not"}}
	for i, f := range d.Named {
		if reason := d.WhyNot(i); reason != "" {
			others.row(f.Name, reason)
		}
	}
	if len(others.rows) > 0 {
		o.add(others)
	}
}
