package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"relcheck/checker/printable"
	"relcheck/db"
	"relcheck/db/backup"
	"relcheck/db/dbfile"
)

func dbFlag(c *cobra.Command, name *string) {
	storeFlag(c, name, "db", defaultStore, "`store`: a SQLite file, or postgres://USER@HOST/DATABASE")
}

// defaultStore is the store of commands without --db.
const defaultStore = "relcheck.db"

// storeFlag adds a flag with the name of a store.
func storeFlag(c *cobra.Command, name *string, flag, value, usage string) {
	*name = value
	c.Flags().Var((*storeName)(name), flag, usage)
}

// storeName is the value of a flag: the name of a store.
type storeName string

func (n *storeName) Type() string   { return "string" }
func (n *storeName) String() string { return string(*n) }

func (n *storeName) Set(s string) error {
	if s == "" {
		return errors.New("the name is empty: name a file, such as relcheck.db")
	}
	*n = storeName(s)
	return db.CheckName(s)
}

// existingStoreCommand adds the flag --db to a command, which calls run with the store.
func existingStoreCommand(c *cobra.Command, run func(ctx context.Context, s *db.Store, args []string) error) *cobra.Command {
	var name string
	dbFlag(c, &name)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return withExisting(cmd.Context(), name, func(s *db.Store) error {
			return explainNotFound(cmd, s, args, run(cmd.Context(), s, args))
		})
	}
	return c
}

// explainNotFound returns what is probably meant by the first argument, if err is about something
// missing and the argument should name a product and names none. Otherwise it returns err.
func explainNotFound(cmd *cobra.Command, s *db.Store, args []string, err error) error {
	if !errors.Is(err, db.ErrNotFound) || len(args) == 0 || !strings.Contains(cmd.Use, "PRODUCT") && cmd.Parent().Name() != "product" {
		return err
	}
	arg := args[0]
	if product, _, ok := strings.Cut(arg, "@"); ok {
		return fmt.Errorf("%s is a channel, not a product: give %s; relcheck product channel list %s shows what each channel offers", arg, product, printable.QuoteShell(product))
	}
	names, failed := productsOrAll(cmd.Context(), s, nil)
	if failed != nil || slices.Contains(names, arg) {
		return err
	}
	if found := printable.Nearest(arg, names); found != "" {
		return fmt.Errorf("product %s: %w: did you mean %s?", arg, db.ErrNotFound, found)
	}
	if looksLikeStore(arg) {
		return fmt.Errorf("%w; if it is a store, name it with --db %s", err, printable.QuoteShell(arg))
	}
	return err
}

// withStore opens a store for a change. If it does not exist, it is created if f succeeds.
func withStore(ctx context.Context, path string, streams IO, f func(*db.Store) error) (err error) {
	if db.IsFile(path) {
		file := dbfile.Resolve(path)
		done := false
		err := backup.WithNewStore(ctx, file, streams.Schema, func(s *db.Store) error {
			err := f(s)
			done = err == nil
			return err
		})
		switch {
		case err == nil:
			fmt.Fprintf(streams.Err, "created %s\n", file)
			return nil
		case done && errors.Is(err, backup.ErrExists):
			return fmt.Errorf("another process has created %s meanwhile, and nothing was changed: run the command again", file)
		case !errors.Is(err, backup.ErrExists):
			return noStoreAt(file, err)
		}
	}
	s, err := openStore(ctx, path, streams, func() error { return errNew })
	if errors.Is(err, errNew) {
		return withNewDatabase(ctx, path, streams, f)
	}
	if err != nil {
		return err
	}
	defer closing(s, &err)
	return f(s)
}

// errNew stops openStore before it creates a store.
var errNew = errors.New("there is no store")

// withNewDatabase calls f with a new store in a temporary file, and copies it to an empty
// PostgreSQL database when f succeeds.
func withNewDatabase(ctx context.Context, name string, streams IO, f func(*db.Store) error) (err error) {
	public, _, err := db.PublicName(name)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "relcheck-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	s, err := db.Open(ctx, filepath.Join(folder, "relcheck.db"), streams.Schema)
	if err != nil {
		return err
	}
	defer closing(s, &err)
	if err := f(s); err != nil {
		return noStoreAt(public, err)
	}
	if _, err := s.Copy(ctx, name, streams.Schema, func(int64, int64) {}); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	fmt.Fprintf(streams.Err, "created %s\n", public)
	return nil
}

// noStoreAt adds to an error about something missing that the store does not exist, because
// another one may be meant.
func noStoreAt(name string, err error) error {
	if errors.Is(err, db.ErrNotFound) {
		return fmt.Errorf("%w; there is no store at %s: name another with --db", err, name)
	}
	return err
}

// openStore opens a store, and reports if that created or upgraded it: the path of a
// new store may be a mistake, and older versions of relcheck refuse an upgraded store. It
// creates no store if mayCreate returns an error.
func openStore(ctx context.Context, name string, streams IO, mayCreate func() error) (*db.Store, error) {
	s, err := db.OpenExisting(ctx, name)
	switch {
	case errors.Is(err, db.ErrNoStore):
		if err := mayCreate(); err != nil {
			return nil, err
		}
		s, err = db.Open(ctx, name, streams.Schema)
	case err != nil && db.IsFile(name): // if its creation was interrupted, nothing is left of it now
		s, err = db.Open(ctx, name, streams.Schema)
	}
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

// defaultBase is the base URL of relcheck serve without flags.
const defaultBase = "http://localhost:8080"

// baseURL returns the base URL of the server that uses the store. It is known if a server
// has started.
func baseURL(ctx context.Context, s *db.Store) (base string, known bool, err error) {
	base, err = s.BaseURL(ctx)
	return cmp.Or(base, defaultBase), base != "", err
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
