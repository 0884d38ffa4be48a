package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/upstream"
	"relcheck/db"
)

func releaseImport(streams IO) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "import PRODUCT FILE",
		Short: "Import releases from a file in the format of GitHub's API.",
		Long: `Import releases from a file in the format of GitHub's releases API: one object or an
array of them; - reads standard input. Assets are assigned to platforms by their
names. Drafts are skipped. If an entry is invalid, nothing is imported. Importing a
file again changes nothing.`,
		Example: `  relcheck release import opa releases.json
  curl -s https://github.example.com/api/v3/repos/me/myapp/releases | relcheck release import myapp -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := open(args[1], streams.In)
			if err != nil {
				return err
			}
			defer file.Close()
			releases, err := upstream.ReadGitHub(file)
			if err != nil {
				return fmt.Errorf("import %s: %w: nothing was imported", args[1], err)
			}
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				return put(cmd.Context(), s.PutReleases, args[0], releases, mergeGiven, streams)
			})
		},
	}
	dbFlag(c, &path)
	return c
}

func open(name string, in io.Reader) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(in), nil
	}
	return os.Open(name)
}

func releaseSync(streams IO) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "sync PRODUCT",
		Short: "Add the releases of a Go module from its proxy.",
		Long: `Add the versions of the product's Go module, with dates and retractions, from the
proxies in GOPROXY. Dates that are stored already are not requested again.`,
		Example: `  relcheck release sync opa
  GOPROXY=https://goproxy.example.com relcheck release sync opa`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				return syncReleases(cmd.Context(), s, args[0], streams)
			})
		},
	}
	dbFlag(c, &path)
	return c
}

func syncReleases(ctx context.Context, s *db.Store, name string, streams IO) error {
	product, err := s.Product(ctx, name)
	if err != nil {
		return err
	}
	if product.Module == "" {
		return usageError("product %s has no Go module: set it with relcheck product set %[1]s --module PATH", name)
	}
	known, err := s.Releases(ctx, name)
	if err != nil {
		return err
	}
	dates := map[string]time.Time{}
	for _, r := range known {
		if !r.Date.IsZero() {
			dates[checker.Canonical(r.Version)] = r.Date
		}
	}
	progress := newProgress(streams.Err)
	proxy := upstream.Proxy{
		Known:    dates,
		Progress: func(done, total int) { progress.show("%d of %d versions", done, total) },
	}
	releases, err := proxy.Releases(ctx, product.Module)
	progress.clear()
	if err != nil {
		return fmt.Errorf("sync %s: %w", name, err)
	}
	return put(ctx, s.SyncReleases, name, releases, mergeSynced, streams)
}

// mergeSynced takes retractions from a module proxy, and dates that are not stored.
func mergeSynced(stored, synced catalog.Release) catalog.Release {
	stored.Retracted = synced.Retracted
	if stored.Date.IsZero() {
		stored.Date = synced.Date
	}
	return stored
}

func put(ctx context.Context, store func(context.Context, string, []catalog.Release, db.Merge) (db.ImportResult, error),
	product string, releases []catalog.Release, merge db.Merge, streams IO) error {
	c, err := store(ctx, product, releases, merge)
	if err == nil {
		fmt.Fprintf(streams.Err, "%s: %v\n", product, c)
	}
	return err
}
