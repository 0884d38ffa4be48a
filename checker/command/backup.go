package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"relcheck/db"
	"relcheck/db/backup"
)

func backupCommand(streams IO) *cobra.Command {
	return existingStoreCommand(&cobra.Command{
		Use:   "backup FILE",
		Short: "Back up a store to a new file.",
		Long: `Back up a store to a new SQLite file. Servers continue to record meanwhile; the
backup contains every report that they acknowledged before it began. The file is
verified before it is renamed into place, and never replaces another file.

relcheck serve --backup-dir makes backups on a schedule.`,
		Example: `  relcheck backup /mnt/backup/relcheck-2026-01-31.db
  relcheck backup copy.db --db postgres://relcheck@db.example.com/relcheck`,
	}, func(ctx context.Context, s *db.Store, args []string) error {
		tidy(streams.Err, args[0])
		progress := newProgress(streams.Err)
		rows, err := backup.Create(ctx, s, args[0], streams.Schema, progress.copied)
		progress.clear()
		return streams.done(err, "backed up and verified: %s", contents(rows))
	})
}

func restoreCommand(streams IO) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Restore a backup to a new store.",
		Long: `Restore a backup to a new file or an empty PostgreSQL database. The backup is
verified first, and is not changed. An existing store is never replaced: stop the
server and move the old store away first. Run the command as the user of the
server. If root runs it, the new file belongs to the owner of its folder.

The new store has the same ID as the old one, so it continues the old store's
backups. Do not run two stores from one backup with the same folder of relcheck serve
--backup-dir: each would treat the other's backups as its own.`,
		Example: `  relcheck restore /mnt/backup/relcheck-1f0c9a7be2d45386-20260131T000000Z.db \
    --db /var/lib/relcheck/relcheck.db
  relcheck restore copy.db --db postgres://relcheck@db.example.com/relcheck`,
		RunE: func(cmd *cobra.Command, args []string) error {
			tidy(streams.Err, name)
			progress := newProgress(streams.Err)
			rows, err := backup.Restore(cmd.Context(), args[0], name, streams.Schema, progress.copied)
			progress.clear()
			return streams.done(err, "restored and verified: %s\n%s", contents(rows), afterRestore)
		},
	}
	dbFlag(c, &name)
	return c
}

const afterRestore = `Tokens and sessions are those of the backup: tokens that were revoked later are valid again. Check them with relcheck token list.
Expired reports and statistics are deleted one to two hours after the next start: see relcheck serve --keep-reports.`

// tidy removes the temporary files of killed commands from the folder of a new file.
func tidy(w io.Writer, file string) {
	removed, err := backup.RemoveLeftovers(file)
	for _, path := range removed {
		fmt.Fprintf(w, "removed %s, left by a killed command\n", path)
	}
	if err != nil {
		fmt.Fprintf(w, "cannot remove files left by a killed command: %v\n", err)
	}
}

// contents summarizes what was copied.
func contents(rows db.RowCounts) string {
	return count(rows["product"], "product") + ", " + count(rows["release"], "release") + ", " + count(rows["report"], "report")
}

// scheduleFlags adds the flags for the folder of the backups and the time between them,
// with their help texts.
func scheduleFlags(c *cobra.Command, b *backup.Schedule, folder, every string) {
	b.Every = 24 * time.Hour
	c.Flags().StringVar(&b.Folder, "backup-dir", "", folder)
	c.Flags().Var(durationFlag{&b.Every, time.Minute, false}, "backup-every", every)
}
