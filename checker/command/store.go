package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"relcheck/checker/printable"
	"relcheck/db"
	"relcheck/db/dbfile"
)

func dbFlag(c *cobra.Command, name *string) {
	c.Flags().StringVar(name, "db", "relcheck.db", "`store`: a SQLite file, or postgres://USER@HOST/DATABASE")
}

// existingStoreCommand adds the flag --db to a command, which calls run with the store.
func existingStoreCommand(c *cobra.Command, run func(ctx context.Context, s *db.Store, args []string) error) *cobra.Command {
	var name string
	dbFlag(c, &name)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		err := withExisting(cmd.Context(), name, func(s *db.Store) error { return run(cmd.Context(), s, args) })
		if errors.Is(err, db.ErrNotFound) && len(args) > 0 {
			if product, _, ok := strings.Cut(args[0], "@"); ok {
				return fmt.Errorf("%s is a channel, not a product: give %s; relcheck product channel list %s shows what each channel offers", args[0], product, printable.QuoteShell(product))
			}
		}
		return err
	}
	return c
}

// withStore opens a store for a change, and creates it if it does not exist.
func withStore(ctx context.Context, path string, streams IO, f func(*db.Store) error) (err error) {
	s, err := openStore(ctx, path, streams)
	if err != nil {
		return err
	}
	defer closing(s, &err)
	return f(s)
}

// openStore opens a store, and reports if that created or upgraded it: the path of a
// new store may be a mistake, and older versions of relcheck refuse an upgraded store.
func openStore(ctx context.Context, name string, streams IO) (*db.Store, error) {
	s, err := db.Open(ctx, name, streams.Schema)
	if err == nil && s.Created() {
		fmt.Fprintf(streams.Err, "created %s\n", s.Name())
	}
	if err == nil {
		if from, to := s.Upgraded(); from != 0 {
			fmt.Fprintf(streams.Err, "upgraded %s from schema %d to %d\n", s.Name(), from, to)
		}
	}
	return s, dbfile.Advise(err, dbfile.NameStore)
}

// withExisting opens a store that must exist.
func withExisting(ctx context.Context, path string, f func(*db.Store) error) (err error) {
	s, err := db.OpenExisting(ctx, path)
	if err != nil {
		return dbfile.Advise(err, dbfile.NameStore)
	}
	defer closing(s, &err)
	return f(s)
}

// closing closes c at the end of a function and adds the error of Close to err.
func closing(c io.Closer, err *error) { *err = errors.Join(*err, c.Close()) }
