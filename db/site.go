package db

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// Site is another store whose counts were added to this one.
type Site struct {
	Name     string
	Store    string // ID of the store
	Key      string // that has signed its last bundle, see [TrustedKey]
	Products []SiteProduct

	id int64
}

// SiteProduct is the last bundle of a site that was applied to a product.
type SiteProduct struct {
	Product   string
	Threshold int64      // all counts of the bundle are multiples of it
	Through   rollup.Day // last day of the counts
	Sequence  int64
	Bundle    string // ID of the bundle
	Created   time.Time
	Applied   time.Time

	site int64
}

// Sites returns all sites, by name.
func (s *Store) Sites(ctx context.Context) (all []Site, err error) {
	err = s.inSnapshot(ctx, func(tx *sql.Tx) error {
		if all, err = query(ctx, tx, scanSite, "SELECT "+siteColumns+" FROM site WHERE name IS NOT NULL"); err != nil {
			return err
		}
		products, err := query(ctx, tx, scanSiteProduct, selectSiteProducts)
		for i := range all {
			for _, p := range products {
				if p.site == all[i].id {
					all[i].Products = append(all[i].Products, p)
				}
			}
			slices.SortFunc(all[i].Products, func(a, b SiteProduct) int { return strings.Compare(a.Product, b.Product) })
		}
		return err
	})
	slices.SortFunc(all, func(a, b Site) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

const (
	siteColumns        = "id, name, store, key"
	selectSiteProducts = `SELECT site_product.site, product.name, site_product.threshold, site_product.last_day, site_product.sequence, site_product.bundle, site_product.created, site_product.applied
		FROM site_product JOIN product ON product.id = site_product.product AND product.name IS NOT NULL`
)

func scanSite(rows *sql.Rows) (s Site, err error) {
	err = rows.Scan(&s.id, &s.Name, &s.Store, &s.Key)
	return s, err
}

func scanSiteProduct(rows *sql.Rows) (p SiteProduct, err error) {
	var created, applied int64
	err = rows.Scan(&p.site, &p.Product, &p.Threshold, &p.Through, &p.Sequence, &p.Bundle, &created, &applied)
	p.Created, p.Applied = timeOf(created), timeOf(applied)
	return p, err
}

// siteNamed returns a site without its products. The error wraps [ErrNotFound] if it does
// not exist.
func siteNamed(ctx context.Context, q querier, name string) (Site, error) {
	found, err := query(ctx, q, scanSite, "SELECT "+siteColumns+" FROM site WHERE name = $1", name)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("site %s: %w; list the sites with relcheck site list", name, ErrNotFound)
	}
	if err != nil {
		return Site{}, err
	}
	return found[0], nil
}

// RenameSite renames a site. Later bundles of its store do not change the name. The error
// wraps [ErrNotFound] if the site does not exist, and [ErrInUse] if another one has the name.
func (s *Store) RenameSite(ctx context.Context, name, to string) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		site, err := siteNamed(ctx, tx, name)
		if err == nil {
			err = s.renameSite(ctx, tx, site, to)
		}
		return err
	})
}

func (s *Store) renameSite(ctx context.Context, tx *sql.Tx, site Site, to string) error {
	if to == site.Name {
		return nil
	}
	err := checkSiteName(ctx, tx, to)
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE site SET name = $2 WHERE id = $1", site.id, to)
	}
	if err == nil {
		err = s.audit(ctx, tx, siteRenamed, "", site.Name+" to "+to)
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
	var removed Site
	err := s.inTx(ctx, func(tx *sql.Tx) (err error) {
		if removed, err = siteNamed(ctx, tx, name); err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, "UPDATE site SET name = NULL WHERE id = $1", removed.id); err != nil {
			return err
		}
		return s.audit(ctx, tx, siteRemoved, "", fmt.Sprintf("%s with the counts of store %s", name, removed.Store))
	})
	if err == nil {
		err = s.removeSites(ctx)
	}
	return err
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
