package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"relcheck/checker/fetch"
	"relcheck/checker/mirror"
	"relcheck/checker/stats"
	"relcheck/db"
	"relcheck/db/dbfile"
)

func serveFilesFlags(c *cobra.Command, o *serveOptions) {
	c.Flags().StringVar(&o.files, "files", "", "serve the files of releases in this `folder`, and link to them in answers (default: none)")
	c.Flags().BoolVar(&o.fetchOnDemand, "fetch-on-demand", false, "fetch a file from upstream into the folder when a client first requests it")
}

// openFiles opens the folder of --files, if the flag is set. The returned function closes
// it.
func (o *serveOptions) openFiles(ctx context.Context, s *db.Store, log *slog.Logger) (closeFolder func() error, err error) {
	if o.files == "" {
		return func() error { return nil }, nil
	}
	hosted := 0
	for _, err := range s.HostedFiles(ctx) {
		if err != nil {
			return nil, err
		}
		hosted++
	}
	if o.Files, err = openFolder(ctx, s, o.files, true); err != nil {
		return nil, err
	}
	if o.fetchOnDemand {
		if err := o.Files.CheckWritable(); err != nil {
			return nil, errors.Join(fmt.Errorf("--fetch-on-demand needs a folder that it can write to: %w", err), o.Files.Close())
		}
		o.Fetcher = &mirror.Fetcher{Folder: o.Files, Client: fetch.NewClient(), Reserve: reserve(o.files, dbfile.Space)}
	}
	log.Info("serving files of releases", "folder", o.files, "files", hosted)
	return o.Files.Close, nil
}

// mayCreate returns an error if a server of a new store could not use the folder of --files.
func (o *serveOptions) mayCreate() error {
	if o.files == "" {
		return nil
	}
	return mirror.CheckNew(o.files)
}

// reserve returns a function that returns an error if a download would leave less than the
// larger of 1 GB and 5 % of the disk free. Otherwise clients that request many files could
// fill a disk that the store also needs.
func reserve(folder string, space func(folder string) (free, total int64, known bool)) func(size int64) error {
	return func(size int64) error {
		free, total, known := space(folder)
		if least := max(1e9, total/20); known && free-size < least {
			return fmt.Errorf("%w: %s are free, and relcheck serve --fetch-on-demand leaves %s free: remove files with relcheck file prune", mirror.ErrFull,
				stats.ShowBytes(float64(free)), stats.ShowBytes(float64(least)))
		}
		return nil
	}
}
