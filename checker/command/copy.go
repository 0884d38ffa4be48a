package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"relcheck/checker/printable"
	"relcheck/db"
	"relcheck/db/dbfile"
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
		Example: `  relcheck copy --from relcheck.db --to postgres://relcheck@db/relcheck
  relcheck copy --from postgres://relcheck@db/relcheck --to relcheck.db`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 && from == "" && to == "" {
				return fmt.Errorf("unexpected arguments: did you mean: relcheck copy --from %s --to %s", printable.QuoteShell(args[0]), printable.QuoteShell(args[1]))
			}
			return checkArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if from == "" || to == "" {
				return usageError("missing --from or --to: name the store to copy and the store to create")
			}
			tidy(streams.Err, to)
			s, err := db.OpenExisting(cmd.Context(), from)
			if err != nil {
				return dbfile.Advise(err, "name another store with --from")
			}
			defer closing(s, &err)
			progress := newProgress(streams.Err)
			rows, err := s.Copy(cmd.Context(), to, streams.Schema, progress.bar)
			progress.clear()
			return streams.done(err, "copied and compared: %s", contents(rows))
		},
	}
	storeFlag(c, &from, "from", "", "`store` to copy: a SQLite file, or postgres://USER@HOST/DATABASE")
	storeFlag(c, &to, "to", "", "`store` to create")
	return c
}
