package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"relcheck/db"
)

func backupCommand(streams IO) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write all that is in the store into a new file, beside a running server",
		Long: `Write all that is in the store into a new SQLite file. Servers go on recording;
the file holds what they had acknowledged when it was begun. It is verified
before it stands there under its name, and nothing is ever overwritten.

relcheck serve --backup-dir makes backups by itself.`,
		Example: `  relcheck backup /mnt/backup/relcheck-2026-01-31.db
  relcheck backup copy.db --db postgres://relcheck@db.example.com/relcheck`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withExisting(cmd.Context(), name, func(s *db.Store) error {
				return backUp(cmd.Context(), s, args[0], streams)
			})
		},
	}
	dbFlag(c, &name)
	return c
}

func backUp(ctx context.Context, s *db.Store, file string, streams IO) error {
	tidy(streams.Err, file)
	rows, err := s.Backup(ctx, file, streams.Schema, copyProgress(streams.Err))
	newProgress(streams.Err).clear()
	if err == nil {
		fmt.Fprintf(streams.Err, "backed up and verified: %s\n", contents(rows))
	}
	return err
}

func restoreCommand(streams IO) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a new store of a backup",
		Long: `Make a new store of a backup: a file that is not there yet, or an empty PostgreSQL
database. The backup is verified before, and it is not changed. What is in the way
is left alone: stop the server and move the old store away first. Run this as the
user that the server runs as, to whom the new file has to belong.

The new store has the ID of the old one, and so its backups go on with those of the
old one. Do not run two stores of one backup with the same --backup-dir: each would
count the other's backups as its own.`,
		Example: `  relcheck restore /mnt/backup/relcheck-1f0c9a7be2d45386-20260131T000000Z.db --db /var/lib/relcheck/relcheck.db
  relcheck restore copy.db --db postgres://relcheck@db.example.com/relcheck`,
		RunE: func(cmd *cobra.Command, args []string) error {
			tidy(streams.Err, name)
			rows, err := db.Restore(cmd.Context(), args[0], name, streams.Schema, copyProgress(streams.Err))
			newProgress(streams.Err).clear()
			if err == nil {
				fmt.Fprintf(streams.Err, "restored and verified: %s\n%s", contents(rows), afterRestore)
			}
			return err
		},
	}
	dbFlag(c, &name)
	return c
}

const afterRestore = `Tokens and those who have signed in are as of the backup: tokens that were revoked since are valid again, see relcheck token list.
What has been kept for long enough is removed an hour or two after the next start, see relcheck serve --keep-reports.
`

// tidy removes what killed backups and restores have left in the folder of a file that
// is about to be written.
func tidy(w io.Writer, file string) {
	removed, err := db.RemoveLeftovers(file)
	for _, path := range removed {
		fmt.Fprintf(w, "removed %s, which a killed backup or restore had left\n", path)
	}
	if err != nil {
		fmt.Fprintf(w, "cannot remove what a killed backup or restore has left: %v\n", err)
	}
}

// copyProgress shows how a copy goes on, and then that it is verified.
func copyProgress(w io.Writer) func(done, total int64) {
	p := newProgress(w)
	return func(done, total int64) {
		if done >= total {
			p.show("verifying")
			return
		}
		p.bar(done, total)
	}
}

// contents tells what a store holds, in a few words.
func contents(rows db.Copied) string {
	return count(rows["product"], "product") + ", " + count(rows["release"], "release") + ", " + count(rows["report"], "report")
}

// backupOptions say how a server makes backups by itself.
type backupOptions struct {
	folder string
	every  interval
	keep   int
}

func (o *backupOptions) flags(c *cobra.Command) {
	o.place(c)
	c.Flags().IntVar(&o.keep, "backup-keep", 7, "how many `backups` of this store are kept there")
}

// place are the flags that say where backups are, and how old the newest one may be.
func (o *backupOptions) place(c *cobra.Command) {
	o.every = interval(24 * time.Hour)
	c.Flags().StringVar(&o.folder, "backup-dir", "", "the `folder` for backups (default: none are made)")
	c.Flags().Var(&o.every, "backup-every", "how often a backup is made")
}

// prepare returns nil when no backups are wanted.
func (o *backupOptions) prepare(ctx context.Context, s *db.Store, schema string) (*db.Backups, error) {
	if o.folder == "" {
		return nil, nil
	}
	if o.keep < 1 {
		return nil, misused("--backup-keep: %d keeps none; give 1 or more", o.keep)
	}
	b := &db.Backups{Folder: o.folder, Every: time.Duration(o.every), Keep: o.keep, Schema: schema}
	return b, s.PrepareBackups(ctx, b)
}
