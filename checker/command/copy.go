package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"relcheck/db"
)

func copyCommand(streams IO) *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use:   "copy --from STORE --to STORE",
		Short: "Copy a store from SQLite to PostgreSQL or back.",
		Long: `Copy a store to a new file or an empty database. The copy is read back and compared
before it becomes valid. An interrupted copy leaves nothing behind and can be
repeated.

Reports that are recorded during the copy are not copied: stop the servers first,
and start them again on the copy.`,
		Example: `  relcheck copy --from relcheck.db --to postgres://relcheck@db.example.com/relcheck
  relcheck copy --from postgres://relcheck@db.example.com/relcheck --to relcheck.db`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" || to == "" {
				return usageError("missing --from or --to: name the store to copy and the store to create")
			}
			return copyStore(cmd.Context(), from, to, streams)
		},
	}
	c.Flags().StringVar(&from, "from", "", "`store` to copy: a SQLite file, or postgres://USER@HOST/DATABASE")
	c.Flags().StringVar(&to, "to", "", "`store` to create")
	return c
}

func copyStore(ctx context.Context, from, to string, streams IO) error {
	tidy(streams.Err, to)
	progress := newProgress(streams.Err)
	return withExisting(ctx, from, func(s *db.Store) error {
		rows, err := s.Copy(ctx, to, streams.Schema, func(done, total int64) {
			progress.bar(done, total)
		})
		progress.clear()
		if err == nil {
			fmt.Fprintf(streams.Err, "copied and compared: %s\n", contents(rows))
		}
		return err
	})
}
