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
		Short: "Copy a whole store, from SQLite to PostgreSQL or back",
		Long: `Copy a whole store to where nothing is yet: a file that does not exist, or an
empty database. The copy is read back and compared before it counts. If it is
interrupted nothing has come of it, and it can be repeated.

What is recorded while it runs is not copied: stop the servers before, and start
them with the copy.`,
		Example: `  relcheck copy --from relcheck.db --to postgres://relcheck@db.example.com/relcheck
  relcheck copy --from postgres://relcheck@db.example.com/relcheck --to relcheck.db`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" || to == "" {
				return misused("tell with --from and --to which store to copy where")
			}
			return copyStore(cmd.Context(), from, to, streams)
		},
	}
	c.Flags().StringVar(&from, "from", "", "the `store` to copy: a SQLite file, or postgres://USER@HOST/DATABASE")
	c.Flags().StringVar(&to, "to", "", "the `store` to make")
	return c
}

// count says how many of a thing there are.
func count(n int64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
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
