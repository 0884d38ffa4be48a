package command

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/printable"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

type statsOptions struct {
	db, by    string
	page      string // empty for the overview
	json, csv bool
	parameter func(name string) string // returns the flag for a parameter of the API
}

// questions are the parameters that select a table, and its name.
var questions = [][2]string{{"below", "deprecation"}, {"above", "heap_above"}, {"compare", "heap_change"}}

func statsCommand(streams IO) *cobra.Command {
	var o statsOptions
	c := &cobra.Command{
		Use:   "stats PRODUCT [PAGE]",
		Short: "Show the statistics of a product.",
		Long: `Show the statistics of a product: how many installations and instances run which
version, on which platform, with how much memory. An installation remembers the day
of its last answer, and is counted without an identifier. An instance is one running
process that cannot remember, and a restart is a new one.

The pages are ` + strings.Join(statsPages, ", ") + `.

--by shows one table: ` + strings.Join(stats.TableNames, ", ") + `

On a terminal, the output has bars and colors (NO_COLOR disables colors). --json and
--csv print the table of --by as the API does; without --by, they print the summary.`,
		Example: `  relcheck stats opa
  relcheck stats opa versions
  relcheck stats opa --days 90 --by platforms --version v1.2
  relcheck stats opa --below v0.60.0
  relcheck stats opa --compare v0.68.0..v0.70.0
  relcheck stats opa --by versions --csv > versions.csv`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				o.page = args[1]
			}
			return o.run(cmd.Context(), args[0], streams)
		},
	}
	dbFlag(c, &o.db)
	f := c.Flags()
	o.parameter = func(name string) string { return f.Lookup(name).Value.String() }
	f.StringVar(&o.by, "by", "", "show one `table` instead of an overview")
	f.BoolVar(&o.json, "json", false, "print the table, or the summary, as JSON")
	f.BoolVar(&o.csv, "csv", false, "print the table, or the summary, as CSV")
	f.String("days", "", "`number` of days up to --to (default: 28)")
	f.String("from", "", "first day, a `date` in UTC")
	f.String("to", "", "last day, a `date` in UTC (default: today)")
	f.String("version", "", "only this `version` (v1.2.3) or line of versions (v1.2)")
	f.String("os", "", "only this operating `system` (linux)")
	f.String("arch", "", "only this `architecture` (amd64)")
	f.String("site", "", "only this `site` (see relcheck site list), or local for this store without its sites (default: all)")
	f.String("below", "", "show how many run a version older than this `version`")
	f.String("above", "", "show how many exceed a heap of this many `bytes` (512MiB)")
	f.String("compare", "", "compare the heap of two `versions` (v1.2.0..v1.3.0) or lines (v1.2..v1.3)")
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) != 1 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return statsPages, cobra.ShellCompDirectiveNoFileComp
	}
	c.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(stats.TableNames, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (o *statsOptions) run(ctx context.Context, product string, streams IO) error {
	today := rollup.DayOf(time.Now())
	q, err := stats.ParseQuery(o.parameter, today)
	if err != nil {
		return usageError("%s", withFlags(err.Error()))
	}
	table, err := o.table()
	if err != nil {
		return err
	}
	v, base, err := o.view(ctx, product, q, today)
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
		s.print(nothingYet(v, base))
	case table != "":
		s.print(s.table(v, v.Table(table)))
	default:
		s.print(s.page(v, cmp.Or(o.page, "overview")))
	}
	return s.flush()
}

// parameter matches the names of parameters in the errors of [stats.ParseQuery].
var parameter = regexp.MustCompile(`^\w+|\bto=`)

// withFlags replaces the parameters in an error of [stats.ParseQuery] by flags.
func withFlags(text string) string {
	if rest, ok := strings.CutPrefix(text, "days and from"); ok {
		return "--days and --from" + rest
	}
	return parameter.ReplaceAllString(text, "--$0")
}

// table returns the name of the table to show, or "" for the overview.
func (o *statsOptions) table() (string, error) {
	name := o.by
	for _, q := range questions {
		if name == "" && o.parameter(q[0]) != "" {
			name = q[1]
		}
	}
	switch {
	case o.page != "" && !slices.Contains(statsPages, o.page):
		return "", usageError("unknown page %q: choose one of %s; --by shows a table", o.page, strings.Join(statsPages, ", "))
	case o.page != "" && (name != "" || o.json || o.csv):
		return "", usageError("page %s cannot be shown as a table: leave it out, or --by, --json and --csv", o.page)
	case name != "" && !slices.Contains(stats.TableNames, name):
		if found := printable.Nearest(name, stats.TableNames); found != "" {
			return "", usageError("--by: unknown table %q: did you mean %s?", name, found)
		}
		return "", usageError("--by: unknown table %q: choose one of %s", name, strings.Join(stats.TableNames, ", "))
	case o.json && o.csv:
		return "", conflict("json", "csv")
	case (o.json || o.csv) && name == "":
		return "summary", nil
	}
	return name, nil
}

// view reads the statistics, and the base URL of the server, from the store.
func (o *statsOptions) view(ctx context.Context, product string, q stats.Query, today rollup.Day) (v *stats.View, base string, err error) {
	err = withExisting(ctx, o.db, func(s *db.Store) error {
		p, ranked, err := rankedReleases(ctx, s, product)
		if err != nil {
			return err
		}
		s.Fold(ctx) // if no server does; on an error the statistics are older, and show their date
		f, err := s.TotalsAt(ctx, product, q.Site, q.Range, q.Keeps(p.Scheme()))
		if err != nil {
			return err
		}
		v = stats.NewView(*p, ranked, q, f, today)
		more, err := s.Days(ctx, product, q.Site, v.SpreadDays(), q.Keeps(p.Scheme()))
		if v.AddDays(more); err != nil {
			return err
		}
		base, _, err = baseURL(ctx, s)
		return err
	})
	return v, base, err
}

// nothingYet describes the first steps of a product that has no reports, in the order of the
// pages.
func nothingYet(v *stats.View, base string) block {
	product, path := v.Product.Name, ""
	lines := []string{"No reports of " + product + " yet.", ""}
	if v.Unreleased {
		lines = append(lines, "  relcheck release add "+product+" v1.0.0", "      adds a release; more at once: relcheck release sync, or import")
	}
	if product != "opa" {
		path = "/p/" + product
	}
	return plain(append(lines,
		"  relcheck serve",
		"      records reports sent to "+base+path+"/v1/version",
		"  relcheck check --product "+product+" --as 1.0.0 --url "+base,
		"      sends a test report")...)
}
