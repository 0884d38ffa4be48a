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
	return group("product", "Manage products.", `
  relcheck product add myapp --title "My App" --repo me/myapp \
    --download 'https://example.com/{tag}/myapp-{os}-{arch}{windows:.exe}' \
    --notes 'https://example.com/notes/{version}'
  relcheck product list`,
		productAdd(streams), productSet(streams), productList(streams), productRemove(streams))
}

const templateHelp = `URL templates can contain {tag} (v1.2.3), {version} (1.2.3), {os}, {arch}, and
{NAME:TEXT}, which expands to TEXT if the operating system or architecture is NAME.
For each platform, a template gives an http or https URL without a user name, or
nothing.`

func productAdd(streams IO) *cobra.Command {
	var path string
	var p catalog.Product
	var origins []string
	c := &cobra.Command{
		Use:     "add NAME",
		Short:   "Add a product.",
		Long:    "Add a product. Its clients use the path /p/NAME.\n\n" + templateHelp,
		Example: `  relcheck product add myapp --title "My App" --download 'https://example.com/{tag}/myapp-{os}-{arch}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Name = args[0]
			p.Origins = strings.Join(origins, " ")
			p, err := catalog.ProductPatch{}.Apply(p)
			if err != nil {
				return flagError(err)
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
	dbFlag(c, &path)
	productFlags(c, &p, &origins)
	return c
}

func productSet(streams IO) *cobra.Command {
	var given catalog.Product
	var origins []string
	c := &cobra.Command{
		Use:     "set NAME",
		Short:   "Change a product.",
		Long:    "Change a product. Flags that are not given leave their field unchanged; '' clears it.\n\n" + templateHelp,
		Example: `  relcheck product set myapp --repo me/myapp`,
	}
	productFlags(c, &given, &origins)
	return existingStoreCommand(c, func(ctx context.Context, s *db.Store, args []string) error {
		p, err := s.Product(ctx, args[0])
		if err != nil {
			return err
		}
		given.Origins = strings.Join(origins, " ")
		changes := catalog.ProductPatch{}
		for field, value := range catalog.ProductFields(&given) {
			if c.Flags().Changed(flagOf(field)) {
				changes[field] = *value
			}
		}
		if p, err = changes.Apply(p); err != nil {
			return flagError(err)
		}
		if err := s.SetProduct(ctx, p); err != nil {
			return err
		}
		fmt.Fprintf(streams.Err, "changed product %s\n", p.Name)
		return nil
	})
}

// flagOf returns the name of the flag for a field of a product.
func flagOf(field string) string {
	if field == "origins" {
		return "origin" // repeated, once per origin
	}
	return field
}

func productFlags(c *cobra.Command, p *catalog.Product, origins *[]string) {
	c.Flags().StringVar(&p.Title, "title", "", "display name (default: NAME)")
	c.Flags().StringVar(&p.Repo, "repo", "", "`OWNER/REPO` under which clients of GitHub's API request it")
	c.Flags().StringVar(&p.Module, "module", "", "Go module `path`, for relcheck release sync")
	c.Flags().StringVar(&p.Download, "download", "", "`template` of the download URLs")
	c.Flags().StringVar(&p.Notes, "notes", "", "`template` of the release notes URL")
	c.Flags().StringArrayVar(origins, "origin", nil, "`origin` of web pages whose reports are recorded: a URL, null, or a scheme such as app: for all its origins; can be repeated")
}

// flagError returns an error of a field as a usage error that names its flag.
func flagError(err error) error {
	m := (*catalog.FieldError)(nil)
	switch {
	case !errors.As(err, &m):
		return err
	case m.Field == "name" || m.Field == "version":
		return usageError("%s", m.Text)
	}
	return usageError("--%s: %s", flagOf(m.Field), m.Text)
}

func productList(streams IO) *cobra.Command {
	return existingStoreCommand(&cobra.Command{
		Use:     "list",
		Short:   "List products.",
		Example: `  relcheck product list`,
	}, func(ctx context.Context, s *db.Store, _ []string) error {
		products, err := s.Products(ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, p := range products {
			rows = append(rows, []string{p.Name, p.Title, p.Repo, p.Module, p.Origins})
		}
		return printList(streams.Out, []string{"name", "title", "repository", "module", "origins"}, rows)
	})
}

func productRemove(streams IO) *cobra.Command {
	var yes bool
	c := existingStoreCommand(&cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a product and its releases.",
		Example: `  relcheck product remove myapp`,
	}, func(ctx context.Context, s *db.Store, args []string) error {
		err := s.RemoveProduct(ctx, args[0], yes)
		if errors.Is(err, db.ErrInUse) {
			return fmt.Errorf("%w: add --with-reports to remove them", err)
		}
		if err == nil {
			fmt.Fprintf(streams.Err, "removed product %s\n", args[0])
		}
		return err
	})
	c.Flags().BoolVar(&yes, "with-reports", false, "also remove the product's reports and statistics")
	return c
}
