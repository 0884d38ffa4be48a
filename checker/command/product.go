package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
	"relcheck/db"
)

func productCommand(streams IO) *cobra.Command {
	return group("product", "Say which products there are", `
  relcheck product add myapp --title "My App" --repo me/myapp \
    --download 'https://example.com/{tag}/myapp-{os}-{arch}{windows:.exe}' \
    --notes 'https://example.com/notes/{version}'
  relcheck product list`,
		productAdd(streams), productSet(streams), productList(streams), productRemove(streams))
}

const templateHelp = `Templates of URLs may use {tag} (v1.2.3), {version} (1.2.3), {os}, {arch}, and
{NAME:TEXT}, which is TEXT where the operating system or the architecture is NAME.
Each platform gets an http or https URL without a user name, or none.`

func productAdd(streams IO) *cobra.Command {
	var path string
	var p catalog.Product
	var origins []string
	c := &cobra.Command{
		Use:     "add NAME",
		Short:   "Add a product",
		Long:    "Add a product. Clients ask about it under /p/NAME.\n\n" + templateHelp,
		Example: `  relcheck product add myapp --title "My App" --download 'https://example.com/{tag}/myapp-{os}-{arch}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Name = args[0]
			p.Origins = strings.Join(origins, " ")
			p, err := catalog.ProductPatch{}.Apply(p)
			if err != nil {
				return mistaken(err)
			}
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				if err := s.AddProduct(cmd.Context(), p); err != nil {
					return err
				}
				fmt.Fprintf(streams.Err, "added product %s\n", p.Name)
				return nil
			})
		},
	}
	productFlags(c, &p, &origins, &path)
	return c
}

func productSet(streams IO) *cobra.Command {
	var path string
	var given catalog.Product
	var origins []string
	c := &cobra.Command{
		Use:     "set NAME",
		Short:   "Change a product; what is not given stays as it is",
		Long:    "Change a product; what is not given stays as it is, and '' empties it.\n\n" + templateHelp,
		Example: `  relcheck product set myapp --repo me/myapp`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withExisting(cmd.Context(), path, func(s *db.Store) error {
				p, err := s.Product(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				given.Origins = strings.Join(origins, " ")
				changes := catalog.ProductPatch{}
				for field, value := range catalog.ProductFields(&given) {
					if cmd.Flags().Changed(flagOf(field)) {
						changes[field] = *value
					}
				}
				if p, err = changes.Apply(p); err != nil {
					return mistaken(err)
				}
				if err := s.SetProduct(cmd.Context(), p); err != nil {
					return err
				}
				fmt.Fprintf(streams.Err, "changed product %s\n", p.Name)
				return nil
			})
		},
	}
	productFlags(c, &given, &origins, &path)
	return c
}

// flagOf returns the flag for a field of a product.
func flagOf(field string) string {
	if field == "origins" {
		return "origin" // which is repeated
	}
	return field
}

func productFlags(c *cobra.Command, p *catalog.Product, origins *[]string, path *string) {
	dbFlag(c, path)
	c.Flags().StringVar(&p.Title, "title", "", "what people call it (default: NAME)")
	c.Flags().StringVar(&p.Repo, "repo", "", "`OWNER/REPO` by which clients of GitHub's API ask for it")
	c.Flags().StringVar(&p.Module, "module", "", "Go module `path`, for relcheck release sync")
	c.Flags().StringVar(&p.Download, "download", "", "`template` of a release's download URL")
	c.Flags().StringVar(&p.Notes, "notes", "", "`template` of a release's notes URL")
	c.Flags().StringArrayVar(origins, "origin", nil, "`origin` of a web page whose reports are recorded: a URL, null, or a scheme such as app: for all of it; repeat it for more")
}

// mistaken returns a mistake as one about the flag of that name, or about an
// argument.
func mistaken(err error) error {
	m := (*catalog.FieldError)(nil)
	switch {
	case !errors.As(err, &m):
		return err
	case m.Field == "name" || m.Field == "version":
		return misused("%s", m.Text)
	}
	return misused("--%s: %s", flagOf(m.Field), m.Text)
}

func productList(streams IO) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the products",
		Example: `  relcheck product list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withExisting(cmd.Context(), path, func(s *db.Store) error {
				products, err := s.Products(cmd.Context())
				if err != nil {
					return err
				}
				c := newColumns(streams.Out, "NAME", "TITLE", "REPOSITORY", "MODULE", "ORIGINS")
				for _, p := range products {
					c.row(p.Name, p.Title, p.Repo, p.Module, p.Origins)
				}
				return c.flush()
			})
		},
	}
	dbFlag(c, &path)
	return c
}

func productRemove(streams IO) *cobra.Command {
	var path string
	var yes bool
	c := &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a product with its releases",
		Example: `  relcheck product remove myapp`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withExisting(cmd.Context(), path, func(s *db.Store) error {
				err := s.RemoveProduct(cmd.Context(), args[0], yes)
				if errors.Is(err, db.ErrInUse) {
					return fmt.Errorf("%w; to remove those too, add --with-reports", err)
				}
				if err == nil {
					fmt.Fprintf(streams.Err, "removed product %s\n", args[0])
				}
				return err
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().BoolVar(&yes, "with-reports", false, "remove all that was recorded about the product as well")
	return c
}

// withStore opens the store for a change, and creates it if it is missing.
func withStore(ctx context.Context, path string, streams IO, f func(*db.Store) error) (err error) {
	s, err := openStore(ctx, path, streams)
	if err != nil {
		return err
	}
	defer closing(s, &err)
	return f(s)
}

// openStore opens the store, and says so when that made a new one, for it may have
// been meant to be found somewhere else, or upgraded one, for older versions of
// relcheck refuse it from then on.
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
	return s, err
}

// withExisting opens a store that must be there.
func withExisting(ctx context.Context, path string, f func(*db.Store) error) (err error) {
	s, err := db.OpenExisting(ctx, path)
	if err != nil {
		return err
	}
	defer closing(s, &err)
	return f(s)
}
