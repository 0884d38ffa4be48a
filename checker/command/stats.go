package command

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/db"
)

type statsOptions struct {
	db, by            string
	json, csv         bool
	days, from, to    string
	version, os, arch string
	below, above      string
	compare           string
}

// shortNames are other names of tables, for --by.
var shortNames = map[string]string{
	"day": "daily", "week": "weekly", "month": "monthly", "version": "versions", "line": "lines", "release": "releases",
	"platform": "platforms", "lifetime": "lifetimes", "days_behind": "behind_days", "histogram": "heap_histogram",
	"below": "deprecation", "above": "heap_above", "compare": "heap_change",
}

func statsCommand(streams IO) *cobra.Command {
	var o statsOptions
	c := &cobra.Command{
		Use:   "stats PRODUCT",
		Short: "Show what the reports add up to",
		Long: `Show what the reports of a product add up to: who runs which version, on what, and
how much memory that takes. Ids are counted, and an id is one start of a program.

--by shows one table: ` + wrapNames(names(), 60) + `

A terminal gets bars and colours (NO_COLOR switches these off), everything else
plain text. --json and --csv print what the API gives of a table, and without --by
of the summary.`,
		Example: `  relcheck stats opa
  relcheck stats opa --days 90 --by platform --version v1.2
  relcheck stats opa --below v0.60.0
  relcheck stats opa --compare v0.68.0..v0.70.0
  relcheck stats opa --by version --csv > versions.csv`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), args[0], streams)
		},
	}
	dbFlag(c, &o.db)
	f := c.Flags()
	f.StringVar(&o.by, "by", "", "show one `table` instead of an overview")
	f.BoolVar(&o.json, "json", false, "print the table, or the summary, as JSON")
	f.BoolVar(&o.csv, "csv", false, "print the table, or the summary, as CSV")
	f.StringVar(&o.days, "days", "", "the last `number` of days, up to --to (default: 28)")
	f.StringVar(&o.from, "from", "", "the first day, a `date` in UTC")
	f.StringVar(&o.to, "to", "", "the last day, a `date` in UTC (default: today)")
	f.StringVar(&o.version, "version", "", "count only this `version` (v1.2.3), or a line of them (v1.2)")
	f.StringVar(&o.os, "os", "", "count only this operating `system` (linux)")
	f.StringVar(&o.arch, "arch", "", "count only this `architecture` (amd64)")
	f.StringVar(&o.below, "below", "", "how many run something older than this `version`")
	f.StringVar(&o.above, "above", "", "how many exceed a heap of so many `bytes` (512MiB)")
	f.StringVar(&o.compare, "compare", "", "how much the heap differs between two `versions` (v1.2.0..v1.3.0), or lines (v1.2..v1.3)")
	c.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(names(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// names are those of the tables, the short one where there is one.
func names() (all []string) {
	for _, name := range stats.TableNames {
		for short, long := range shortNames {
			if long == name {
				name = short
			}
		}
		all = append(all, name)
	}
	return all
}

func wrapNames(names []string, width int) string {
	return strings.Join(wrap(strings.Join(names, ", "), width), "\n")
}

func (o *statsOptions) run(ctx context.Context, product string, streams IO) error {
	today := stats.DayOf(time.Now())
	q, err := stats.ParseQuery(o.parameter, today)
	if err != nil {
		return misused("--%v", err)
	}
	table, err := o.table()
	if err != nil {
		return err
	}
	v, err := o.view(ctx, product, q, today)
	if err != nil {
		return err
	}
	switch {
	case o.json:
		return v.Document(v.Table(table)).WriteJSON(streams.Out)
	case o.csv:
		return v.Table(table).WriteCSV(streams.Out)
	}
	s := newScreen(streams.Out)
	switch {
	case v.Known.Days() == 0:
		s.print(nothingYet(v.Product.Name))
	case table != "":
		s.print(s.table(v, v.Table(table)))
	default:
		s.print(s.overview(v))
	}
	return s.flush()
}

// parameter returns what stands for a parameter of the API.
func (o *statsOptions) parameter(name string) string {
	return map[string]string{"days": o.days, "from": o.from, "to": o.to, "version": o.version, "os": o.os, "arch": o.arch,
		"below": o.below, "above": o.above, "compare": o.compare}[name]
}

// table returns the name of the table to show, or "" for the overview.
func (o *statsOptions) table() (string, error) {
	name := strings.ReplaceAll(o.by, "-", "_")
	switch {
	case name != "":
	case o.below != "":
		name = "below"
	case o.above != "":
		name = "above"
	case o.compare != "":
		name = "compare"
	}
	if long := shortNames[name]; long != "" {
		name = long
	}
	switch {
	case name != "" && !slices.Contains(stats.TableNames, name):
		return "", misused("--by: there is no %q; there are %s", o.by, strings.Join(names(), ", "))
	case o.json && o.csv:
		return "", misused("--json and --csv contradict each other: leave one of them out")
	case (o.json || o.csv) && name == "":
		return "summary", nil
	}
	return name, nil
}

// view reads the figures from the store.
func (o *statsOptions) view(ctx context.Context, product string, q stats.Query, today stats.Day) (v *stats.View, err error) {
	err = withExisting(ctx, o.db, func(s *db.Store) error {
		p, err := s.Product(ctx, product)
		if err != nil {
			return err
		}
		s.Fold(ctx) // what no running server has folded; without it the figures are older, and say of when
		releases, err := s.Releases(ctx, product)
		if err != nil {
			return err
		}
		f, err := s.Figures(ctx, product, q.Range, q.Keeps)
		v = stats.NewView(catalog.Listing{Product: p, Releases: releases}, q, f, today)
		return err
	})
	return v, err
}

// nothingYet says what to do about a product without reports.
func nothingYet(product string) block {
	path := ""
	if product != "opa" {
		path = "/p/" + product
	}
	return plain(
		"Nothing is known about "+product+" yet.",
		"",
		"  relcheck serve",
		"      records reports that are sent to http://localhost:8080"+path+"/v1/version,",
		"      and shows here within seconds what they add up to",
		"  relcheck run --product "+product+" --as 1.0.0 --url http://localhost:8080",
		"      reports as the program itself would")
}
