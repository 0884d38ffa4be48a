package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/db"
)

func releaseCommand(streams IO) *cobra.Command {
	return group("release", "Manage the releases of a product.", `
  relcheck release add opa v1.22.2 --date 2026-11-05
  relcheck release import opa releases.json
  relcheck release sync opa
  relcheck release list opa`,
		releaseAdd(streams), releaseList(streams), releaseWithdraw(streams), releaseRestore(streams),
		releaseImport(streams), releaseSync(streams))
}

func releaseAdd(streams IO) *cobra.Command {
	var path, date, notes string
	var assets []string
	var prerelease bool
	c := &cobra.Command{
		Use:   "add PRODUCT VERSION",
		Short: "Add or change a release.",
		Long: `Add or change a release. Flags that are not given leave their field unchanged. URLs
that are not set come from the product's templates.`,
		Example: `  relcheck release add opa v1.22.2
  relcheck release add myapp 1.3.0 --date 2026-10-01 --notes https://example.com/notes/1.3.0 \
    --asset linux/amd64=https://example.com/1.3.0/myapp-linux-amd64.tar.gz`,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := releasePatch(args[1], date, notes, assets)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("prerelease") {
				e.Prerelease = &prerelease
			}
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				r, done, err := s.EditRelease(cmd.Context(), args[0], args[1], e)
				if err != nil {
					return err
				}
				verb := map[catalog.Outcome]string{catalog.Added: "added", catalog.Changed: "changed", catalog.Unchanged: "nothing to change in"}
				fmt.Fprintf(streams.Err, "%s release %s of %s\n", verb[done], r.Version, args[0])
				return nil
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().StringVar(&notes, "notes", "", "`URL` of the release notes")
	c.Flags().StringVar(&date, "date", "", "`time` of publication: a date or an RFC 3339 time")
	c.Flags().StringArrayVar(&assets, "asset", nil, "`OS/ARCH=URL` of the file for a platform; can be repeated")
	c.Flags().BoolVar(&prerelease, "prerelease", false, "offer it only to instances of pre-releases (default: if the version is a pre-release)")
	return c
}

// releasePatch returns the change that the flags describe.
func releasePatch(version, date, notes string, assets []string) (e catalog.ReleasePatch, err error) {
	if err := catalog.CheckVersion(version); err != nil {
		return e, flagError(err)
	}
	if notes != "" {
		if err := e.SetNotes(notes); err != nil {
			return e, flagError(err)
		}
	}
	if date != "" {
		if err := e.SetDate(date); err != nil {
			return e, flagError(err)
		}
	}
	for _, a := range assets {
		platform, url, _ := strings.Cut(a, "=")
		m := (*catalog.FieldError)(nil)
		if err := e.SetAsset(platform, url); errors.As(err, &m) {
			return e, usageError("--asset %s: %s: use the form OS/ARCH=URL", a, m.Text)
		}
	}
	return e, nil
}

// mergeGiven keeps the stored values of fields that are not given. Retractions come
// only from a sync.
func mergeGiven(stored, given catalog.Release) catalog.Release {
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
	return existingStoreCommand(&cobra.Command{
		Use:     "list PRODUCT",
		Short:   "List the releases of a product, newest first.",
		Example: `  relcheck release list opa`,
	}, func(ctx context.Context, s *db.Store, args []string) error {
		releases, err := s.Releases(ctx, args[0])
		if err != nil {
			return err
		}
		return printReleases(streams, args[0], releases)
	})
}

func printReleases(streams IO, product string, releases []catalog.Release) error {
	if len(releases) == 0 {
		fmt.Fprintf(streams.Err, "product %s has no releases; add them with: relcheck release add, import or sync %[1]s\n", product)
		return nil
	}
	slices.SortFunc(releases, func(a, b catalog.Release) int { return checker.Compare(b.Version, a.Version) })
	latest := slices.IndexFunc(releases, func(r catalog.Release) bool { return !r.Withdrawn && !r.Prerelease })
	var rows [][]string
	for i, r := range releases {
		date := ""
		if !r.Date.IsZero() {
			date = r.Date.UTC().Format(time.DateOnly)
		}
		rows = append(rows, []string{r.Version, date, strconv.Itoa(len(r.Assets)), state(r, i == latest)})
	}
	return printList(streams.Out, []string{"version", "date", "assets", "state"}, rows)
}

// state describes how a release is offered to clients.
func state(r catalog.Release, latest bool) string {
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
	return ""
}

func releaseWithdraw(streams IO) *cobra.Command {
	return withdrawal(streams, "withdraw", "withdrew", "Stop offering a release.", true)
}

func releaseRestore(streams IO) *cobra.Command {
	return withdrawal(streams, "restore", "restored", "Offer a withdrawn or retracted release again.", false)
}

func withdrawal(streams IO, verb, done, short string, withdrawn bool) *cobra.Command {
	return existingStoreCommand(&cobra.Command{
		Use:     verb + " PRODUCT VERSION",
		Short:   short,
		Example: "  relcheck release " + verb + " opa v1.22.2",
	}, func(ctx context.Context, s *db.Store, args []string) error {
		err := s.Withdraw(ctx, args[0], args[1], withdrawn)
		if err == nil {
			fmt.Fprintf(streams.Err, "%s release %s of %s\n", done, args[1], args[0])
		}
		return err
	})
}
