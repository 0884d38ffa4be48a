package command

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/db"
)

func releaseCommand(streams IO) *cobra.Command {
	return group("release", "Say which releases a product has", `
  relcheck release add opa v1.22.2 --date 2026-11-05
  relcheck release import opa releases.json
  relcheck release sync opa
  relcheck release list opa`,
		releaseAdd(streams), releaseList(streams), releaseWithdraw(streams), releaseRestore(streams),
		releaseImport(streams), releaseSync(streams))
}

func releaseAdd(streams IO) *cobra.Command {
	var path, date string
	var assets []string
	var r checker.Release
	c := &cobra.Command{
		Use:   "add PRODUCT VERSION",
		Short: "Add a release, or change what is known of it",
		Long: `Add a release, or change what is known of it. Whatever is not given stays as it
was, or comes from the product's templates.`,
		Example: `  relcheck release add opa v1.22.2
  relcheck release add myapp 1.3.0 --date 2026-10-01 --notes https://example.com/notes/1.3.0 \
    --asset linux/amd64=https://example.com/1.3.0/myapp-linux-amd64.tar.gz`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Version = args[1]
			if !cmd.Flags().Changed("prerelease") {
				r.Prerelease = semver.Prerelease(checker.Canonical(r.Version)) != ""
			}
			if err := readRelease(&r, date, assets); err != nil {
				return err
			}
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				product, err := s.Product(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if product.Module != "" && !strings.HasPrefix(r.Version, "v") {
					r.Version = "v" + r.Version // the tags of Go modules have it, and links are made of tags
				}
				change, err := s.PutReleases(cmd.Context(), args[0], []checker.Release{r}, func(stored, given checker.Release) checker.Release {
					given.Version = stored.Version // links depend on how it is spelled
					if !cmd.Flags().Changed("prerelease") {
						given.Prerelease = stored.Prerelease
					}
					return mergeGiven(stored, given)
				})
				if err != nil {
					return err
				}
				done := map[db.Change]string{{Added: 1}: "added", {Changed: 1}: "changed", {Unchanged: 1}: "nothing to change in"}
				fmt.Fprintf(streams.Err, "%s release %s of %s\n", done[change], r.Version, args[0])
				return nil
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().StringVar(&r.Notes, "notes", "", "`URL` of the release notes")
	c.Flags().StringVar(&date, "date", "", "`time` of publication: RFC 3339, or a date")
	c.Flags().StringArrayVar(&assets, "asset", nil, "`OS/ARCH=URL` of the file for a platform; may be given many times")
	c.Flags().BoolVar(&r.Prerelease, "prerelease", false, "offer it only to those who run a pre-release (default: as the version says)")
	return c
}

// readRelease puts the given flags into r and checks all of it.
func readRelease(r *checker.Release, date string, assets []string) (err error) {
	if !checker.ValidVersion(r.Version) || checker.Canonical(r.Version) == "" {
		return misused("%q is not a semantic version, such as v1.2.3", r.Version)
	}
	if r.Notes != "" {
		if err := checker.CheckLink(r.Notes); err != nil {
			return misused("--notes: %v", err)
		}
	}
	if date != "" {
		if r.Date, err = parseTime(date); err != nil {
			return misused("--date: %q is neither an RFC 3339 time (2026-01-31T12:00:00Z) nor a date (2026-01-31)", date)
		}
	}
	for _, a := range assets {
		name, url, _ := strings.Cut(a, "=")
		platform, err := checker.ParsePlatform(name)
		if err == nil {
			err = checker.CheckLink(url)
		}
		if err != nil {
			return misused("--asset %s: %v; write it as OS/ARCH=URL", a, err)
		}
		if r.Assets == nil {
			r.Assets = map[checker.Platform]string{}
		}
		r.Assets[platform] = url
	}
	return nil
}

// mergeGiven keeps what was known of a release and is not said anew. Only a
// sync knows of retractions.
func mergeGiven(stored, given checker.Release) checker.Release {
	given.Retracted = stored.Retracted
	if given.Notes == "" {
		given.Notes = stored.Notes
	}
	if given.Date.IsZero() {
		given.Date = stored.Date
	}
	for platform, url := range given.Assets {
		if stored.Assets == nil {
			stored.Assets = map[checker.Platform]string{}
		}
		stored.Assets[platform] = url
	}
	given.Assets = stored.Assets
	return given
}

func releaseList(streams IO) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:     "list PRODUCT",
		Short:   "List a product's releases, newest first",
		Example: `  relcheck release list opa`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withExisting(cmd.Context(), path, func(s *db.Store) error {
				releases, err := s.Releases(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return printReleases(streams, args[0], releases)
			})
		},
	}
	dbFlag(c, &path)
	return c
}

func printReleases(streams IO, product string, releases []checker.Release) error {
	if len(releases) == 0 {
		fmt.Fprintf(streams.Err, "no release of %s is known; add them with: relcheck release add, import or sync %[1]s\n", product)
		return nil
	}
	slices.SortFunc(releases, func(a, b checker.Release) int { return checker.Compare(b.Version, a.Version) })
	latest := slices.IndexFunc(releases, func(r checker.Release) bool { return !r.Withdrawn && !r.Prerelease })
	t := tabwriter.NewWriter(streams.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VERSION\tDATE\tASSETS\tSTATE")
	for i, r := range releases {
		date := ""
		if !r.Date.IsZero() {
			date = r.Date.UTC().Format(time.DateOnly)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", r.Version, dash(date), len(r.Assets), state(r, i == latest))
	}
	return t.Flush()
}

// state says in words what a release is to callers.
func state(r checker.Release, latest bool) string {
	switch {
	case latest:
		return "latest"
	case r.Withdrawn && r.Retracted != "":
		return "withdrawn, retracted: " + r.Retracted
	case r.Withdrawn:
		return "withdrawn"
	case r.Prerelease:
		return "pre-release"
	}
	return "-"
}

func releaseWithdraw(streams IO) *cobra.Command {
	return withdrawal(streams, "withdraw", "withdrew", "Offer a release to nobody any more", true)
}

func releaseRestore(streams IO) *cobra.Command {
	return withdrawal(streams, "restore", "restored", "Offer a withdrawn or retracted release again", false)
}

func withdrawal(streams IO, verb, done, short string, withdrawn bool) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:     verb + " PRODUCT VERSION",
		Short:   short,
		Example: "  relcheck release " + verb + " opa v1.22.2",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withExisting(cmd.Context(), path, func(s *db.Store) error {
				err := s.Withdraw(cmd.Context(), args[0], args[1], withdrawn)
				if err == nil {
					fmt.Fprintf(streams.Err, "%s release %s of %s\n", done, args[1], args[0])
				}
				return err
			})
		},
	}
	dbFlag(c, &path)
	return c
}
