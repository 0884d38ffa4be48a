package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"relcheck/db"
)

func siteCommand(streams IO) *cobra.Command {
	return group("site", "Manage sites, whose counts were added from other stores.", `
  relcheck site list
  relcheck site rename site-0a1b2c3d factory
  relcheck site remove factory`,
		siteList(streams), siteRename(streams), siteRemove(streams))
}

// listedSite is a site in JSON.
type listedSite struct {
	Name     string       `json:"name"`
	Store    string       `json:"store"`
	Key      string       `json:"key"`
	Products []siteBundle `json:"products"`
}

// siteBundle is the last bundle of a site with the counts of a product.
type siteBundle struct {
	Product   string  `json:"product"`
	Through   string  `json:"through"` // last day of the counts
	Threshold int64   `json:"threshold"`
	Applied   *string `json:"applied"`
	Bundle    string  `json:"bundle"`
}

func siteList(streams IO) *cobra.Command {
	return showCommand(streams, &cobra.Command{
		Use:   "list",
		Short: "List sites, with the last bundle of each product.",
		Long: `List the sites whose counts were added with relcheck bundle apply, with the last bundle of
each product. THROUGH is the last day of the counts. All counts are multiples of THRESHOLD.`,
		Example: `  relcheck site list`,
	}, func(ctx context.Context, s *db.Store, _ []string, o *output) error {
		sites, err := s.Sites(ctx)
		l := &list{name: "sites", heads: []string{"site", "store", "key", "product", "through", "threshold", "applied", "bundle"},
			none: "there are no sites: apply a bundle of relcheck bundle counts"}
		for _, site := range sites {
			key, products := db.TrustedKey{Key: site.Key}.ID(), []siteBundle{}
			for _, p := range site.Products {
				products = append(products, siteBundle{p.Product, p.Through.String(), p.Threshold, jsonTime(p.Applied), p.Bundle})
				l.row(site.Name, site.Store, key, p.Product, p.Through.String(), fmt.Sprint(p.Threshold), p.Applied.Format(time.DateTime), shortID(p.Bundle))
			}
			if len(products) == 0 {
				l.row(site.Name, site.Store, key, "", "", "", "", "")
			}
			l.item(listedSite{site.Name, site.Store, key, products})
		}
		o.add(l)
		return err
	})
}

func siteRename(streams IO) *cobra.Command {
	return existingStoreCommand(&cobra.Command{
		Use:     "rename SITE NAME",
		Short:   "Rename a site.",
		Long:    `Rename a site. It keeps the name when a later bundle of the same store is applied.`,
		Example: `  relcheck site rename site-0a1b2c3d factory`,
	}, func(ctx context.Context, s *db.Store, args []string) error {
		return streams.done(s.RenameSite(ctx, args[0], args[1]), "renamed site %s to %s", args[0], args[1])
	})
}

func siteRemove(streams IO) *cobra.Command {
	return existingStoreCommand(&cobra.Command{
		Use:   "remove SITE",
		Short: "Remove a site with its counts.",
		Long: `Remove a site with its counts from the statistics. A later bundle of the same store adds it
again. To prevent that, revoke its key with relcheck key revoke.`,
		Example: `  relcheck site remove factory`,
	}, func(ctx context.Context, s *db.Store, args []string) error {
		return streams.done(s.RemoveSite(ctx, args[0]), "removed site %s", args[0])
	})
}
