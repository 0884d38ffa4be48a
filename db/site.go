package db

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// storedSite is a site without its products.
type storedSite struct {
	rollup.Site
	id int64
}

type storedSiteProduct struct {
	rollup.SiteProduct
	site int64
}

// Sites returns all sites, by name.
func (s *Store) Sites(ctx context.Context) (all []rollup.Site, err error) {
	err = s.inSnapshot(ctx, func(tx *sql.Tx) error {
		sites, err := query(ctx, tx, scanSite, "SELECT "+siteColumns+" FROM site WHERE name IS NOT NULL")
		if err != nil {
			return err
		}
		products, err := query(ctx, tx, scanSiteProduct, selectSiteProducts)
		for _, one := range sites {
			for _, p := range products {
				if p.site == one.id {
					one.Products = append(one.Products, p.SiteProduct)
				}
			}
			slices.SortFunc(one.Products, func(a, b rollup.SiteProduct) int { return strings.Compare(a.Product, b.Product) })
			all = append(all, one.Site)
		}
		return err
	})
	slices.SortFunc(all, func(a, b rollup.Site) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

const (
	siteColumns        = "id, name, store, key"
	selectSiteProducts = `SELECT site_product.site, product.name, site_product.threshold, site_product.last_day, site_product.sequence, site_product.bundle, site_product.created, site_product.applied
		FROM site_product JOIN product ON product.id = site_product.product AND product.name IS NOT NULL`
)

func scanSite(rows *sql.Rows) (s storedSite, err error) {
	err = rows.Scan(&s.id, &s.Name, &s.Store, &s.Key)
	return s, err
}

func scanSiteProduct(rows *sql.Rows) (p storedSiteProduct, err error) {
	var created, applied int64
	err = rows.Scan(&p.site, &p.Product, &p.Threshold, &p.Through, &p.Sequence, &p.Bundle, &created, &applied)
	p.Created, p.Applied = timeOf(created), timeOf(applied)
	return p, err
}

// siteNamed returns a site without its products. The error wraps [ErrNotFound] if it does
// not exist.
func siteNamed(ctx context.Context, q querier, name string) (storedSite, error) {
	missing := fmt.Errorf("site %s: %w; list the sites with relcheck site list", name, ErrNotFound)
	return queryOne(ctx, q, missing, scanSite, "SELECT "+siteColumns+" FROM site WHERE name = $1", name)
}

// RenameSite renames a site. Later bundles of its store do not change the name. The error
// wraps [ErrNotFound] if the site does not exist, and [ErrInUse] if another one has the name.
func (s *Store) RenameSite(ctx context.Context, name, to string) error {
	return s.inChange(ctx, func(tx *sql.Tx) error {
		found, err := siteNamed(ctx, tx, name)
		if err == nil {
			err = s.renameSite(ctx, tx, found, to)
		}
		return err
	})
}

func (s *Store) renameSite(ctx context.Context, tx *sql.Tx, old storedSite, to string) error {
	if to == old.Name {
		return nil
	}
	err := checkSiteName(ctx, tx, to)
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE site SET name = $2 WHERE id = $1", old.id, to)
	}
	if err == nil {
		err = s.audit(ctx, tx, access.SiteRenamed, "", old.Name+" to "+to)
	}
	return err
}

// checkSiteName returns an error if a new site cannot have a name.
func checkSiteName(ctx context.Context, tx *sql.Tx, name string) error {
	if !rollup.ValidSite(name) {
		return &catalog.FieldError{Field: "site", Text: fmt.Sprintf("%.100q cannot be the name of a site: use lower-case letters, digits, and . _ - after the first one, and not %q", name, rollup.LocalSite)}
	}
	stores, err := query(ctx, tx, scanValue[string], "SELECT store FROM site WHERE name = $1", name)
	if err == nil && len(stores) > 0 {
		err = catalog.InUse("site", "site %s has the counts of store %s", name, stores[0])
	}
	return err
}

// RemoveSite removes a site with its counts. The error wraps [ErrNotFound] if it does not
// exist. If the process is killed meanwhile, the site does not count any more, and a server
// removes the rest.
func (s *Store) RemoveSite(ctx context.Context, name string) error {
	err := s.DropSite(ctx, name)
	if err == nil {
		err = s.removeSites(ctx)
	}
	return err
}

// DropSite is like [Store.RemoveSite], but leaves it to [Store.Maintain] to remove the counts.
func (s *Store) DropSite(ctx context.Context, name string) error {
	return s.inChange(ctx, func(tx *sql.Tx) error {
		removed, err := siteNamed(ctx, tx, name)
		if err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, "UPDATE site SET name = NULL WHERE id = $1", removed.id); err != nil {
			return err
		}
		return s.audit(ctx, tx, access.SiteRemoved, "", fmt.Sprintf("%s with the counts of store %s", name, removed.Store))
	})
}

// removeSites deletes the counts of removed sites.
func (s *Store) removeSites(ctx context.Context) error {
	removed, err := query(ctx, s.read, scanValue[int64], "SELECT id FROM site WHERE name IS NULL")
	for _, site := range removed {
		products, err2 := query(ctx, s.read, scanValue[int64], "SELECT product FROM site_product WHERE site = $1", site)
		err = cmp.Or(err, err2)
		for _, product := range products {
			if err == nil {
				err = s.deleteInChunks(ctx, product, fmt.Sprintf(`DELETE FROM site_count WHERE product = $1 AND site = %d
					AND (span, day) IN (SELECT span, day FROM site_count WHERE product = $1 AND site = %d ORDER BY span, day LIMIT 1)`, site, site))
			}
		}
		if err == nil {
			err = s.inTx(ctx, func(tx *sql.Tx) error {
				err := deleteFrom(ctx, tx, []string{"site_product"}, "site = $1", site)
				if err == nil {
					err = deleteFrom(ctx, tx, []string{"site"}, "id = $1", site)
				}
				return err
			})
		}
	}
	return s.explain(err)
}
