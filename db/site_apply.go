package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/stats/rollup"
)

// SiteBundle identifies a bundle of counts to apply. It places no files.
type SiteBundle struct {
	Bundle
	Site      string     // name chosen by the sender, which a new site gets
	Rename    string     // name that the site gets instead, also if it exists; or empty
	Threshold int64      // all counts are multiples of it
	Through   rollup.Day // last day of the counts
}

// CountedProduct has the counts of a product in a bundle.
type CountedProduct struct {
	Name     string
	Sequence int64 // higher than in earlier bundles of the store

	// Cells iterates over the counts in the order of [rollup.Cell.Compare]. It may be called
	// several times.
	Cells iter.Seq2[*rollup.Cell, error]
}

// CountsResult describes what a bundle of counts changes in a product.
type CountsResult struct {
	Product  string
	Site     string // its name in this store
	Repeated bool   // the bundle was applied before, so nothing changes
	Cells    int64  // number of stored counts of a build in a period
	Removed  int64  // how many of an earlier bundle were removed
}

// errDryRun undoes the transaction of a dry run.
var errDryRun = errors.New("dry run")

// ApplyCounts stores the counts of a site in one transaction. Of each product in the bundle,
// they replace all counts of the site from the first day in the bundle on; earlier counts
// stay. Thus each period is counted once, however many bundles are applied.
//
// The error wraps [ErrOldBundle] if another bundle of the store with the same or a higher
// sequence number of a product was applied before, [ErrNotFound] if a product does not
// exist, and [ErrInUse] if another site has the name.
func (s *Store) ApplyCounts(ctx context.Context, b SiteBundle, products []*CountedProduct) (results []CountsResult, err error) {
	names := mapped(products, func(p *CountedProduct) string { return p.Name })
	var missing []newBuild
	f := s.oneByOne(ctx, func(tx *sql.Tx) error {
		results, missing = nil, nil
		err := s.checkTrust(ctx, tx, b.Bundle, true, names)
		if err != nil {
			return err
		}
		site, err := s.siteOf(ctx, tx, b)
		for _, p := range products {
			if err == nil {
				var r CountsResult
				r, err = s.applyCounts(ctx, tx, b, site, p, &missing)
				results = append(results, r)
			}
		}
		switch {
		case err != nil:
			return err
		case b.DryRun:
			return errDryRun
		case len(missing) > 0:
			return errCreated // rolls back
		}
		return nil
	})
	err = retry(ctx, func(err error) bool { return err == errCreated }, func() error {
		err := s.inLongChange(ctx, f)
		if err == errCreated {
			err = cmp.Or(s.createBuilds(ctx, missing), err)
		}
		return err
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return results, err
}

// siteOf returns the site of a bundle's store, and adds it if it does not exist.
func (s *Store) siteOf(ctx context.Context, tx *sql.Tx, b SiteBundle) (storedSite, error) {
	found, err := query(ctx, tx, scanSite, "SELECT "+siteColumns+" FROM site WHERE store = $1 AND name IS NOT NULL", b.Store)
	if err != nil {
		return storedSite{}, err
	}
	added := storedSite{Site: rollup.Site{Name: b.Site, Store: b.Store, Key: b.Keys[0]}}
	if b.Rename != "" {
		added.Name = b.Rename
	}
	if len(found) == 0 {
		if err = checkSiteName(ctx, tx, added.Name); errors.Is(err, ErrInUse) {
			err = fmt.Errorf("%w: give this store, %s, another name with --site", err, b.Store)
		}
		if err == nil {
			added.id, err = next(ctx, tx, "site")
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, "INSERT INTO site (id, name, store, key) VALUES ($1, $2, $3, $4)", added.id, added.Name, added.Store, added.Key)
		}
		return added, err
	}
	if b.Rename != "" {
		err = s.renameSite(ctx, tx, found[0], b.Rename)
		found[0].Name = b.Rename
	}
	if err == nil {
		err = replaceSiteKey(ctx, tx, found[0], b.Keys)
	}
	return found[0], err
}

// replaceSiteKey changes the key of a site to one of the keys of a bundle. It returns an
// error if the former key is still trusted: otherwise, each site could replace the counts of
// another one.
func replaceSiteKey(ctx context.Context, tx *sql.Tx, site storedSite, keys []string) error {
	if slices.Contains(keys, site.Key) {
		return nil
	}
	trusted, err := queryValue[bool](ctx, tx, "SELECT EXISTS (SELECT 1 FROM trusted_key WHERE key = $1 AND revoked = 0)", site.Key)
	if err == nil && trusted {
		err = fmt.Errorf("bundles of site %s were signed by key %s, and this one is signed by %s: if the key was replaced, revoke the former one with relcheck key revoke: %w", site.Name, keyName(site.Key), keyName(keys[0]), ErrBundleRefused)
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE site SET key = $2 WHERE id = $1", site.id, keys[0])
	}
	return err
}

func (s *Store) applyCounts(ctx context.Context, tx *sql.Tx, b SiteBundle, site storedSite, p *CountedProduct, missing *[]newBuild) (r CountsResult, err error) {
	r = CountsResult{Product: p.Name, Site: site.Name}
	product, err := productID(ctx, tx, p.Name)
	if err != nil {
		return r, fmt.Errorf("%w, and add it before you apply the bundle, or let the site leave it out", err)
	}
	last, err := query(ctx, tx, scanSiteProduct, selectSiteProducts+" WHERE site_product.product = $1 AND site_product.site = $2", product, site.id)
	switch {
	case err != nil:
		return r, err
	case len(last) > 0 && last[0].Bundle == b.ID:
		r.Repeated = true
		return r, nil
	case len(last) > 0 && last[0].Sequence >= p.Sequence:
		return r, fmt.Errorf("%w: product %s has sequence number %d in this bundle, and %d was applied at %s: create a new bundle", ErrOldBundle, p.Name, p.Sequence, last[0].Sequence, last[0].Applied.Format(time.RFC3339))
	}
	if err := s.replaceCounts(ctx, tx, product, site.id, p.Cells, &r, missing); err != nil {
		return r, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO site_product (product, site, sequence, bundle, threshold, last_day, created, applied) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (product, site) DO UPDATE SET sequence = excluded.sequence, bundle = excluded.bundle, threshold = excluded.threshold,
			last_day = excluded.last_day, created = excluded.created, applied = excluded.applied`,
		product, site.id, p.Sequence, b.ID, b.Threshold, b.Through, b.Created.Unix(), b.Time.Unix())
	if err == nil {
		err = s.audit(ctx, tx, access.BundleApplied, p.Name, fmt.Sprintf("counts of site %s through %s", site.Name, b.Through))
	}
	return r, err
}

// replaceCounts replaces the counts of a product from the first day of the cells on. If
// builds must be created before the transaction, it adds the missing ones to missing, and the
// caller must undo the transaction.
func (s *Store) replaceCounts(ctx context.Context, tx *sql.Tx, product, site int64, cells iter.Seq2[*rollup.Cell, error], r *CountsResult, missing *[]newBuild) error {
	find := findOrCreateBuild
	if s.buildsFirst {
		find = findBuild
	}
	builds := map[rollup.Build]int64{}
	insert := newInserter(tx, s.numbered, `INSERT INTO site_count (product, site, span, day, build, reports, instances, checks, daily, weekly, monthly, new, back7, back28, heaps) VALUES `, "")
	defer insert.close()
	for c, err := range cells {
		if err == nil && r.Cells == 0 {
			r.Removed, err = update(ctx, tx, "DELETE FROM site_count WHERE product = $1 AND site = $2 AND day >= $3", product, site, c.Day)
		}
		if err != nil {
			return err
		}
		build, known := builds[c.Build]
		if !known {
			key := buildKey{version: c.Version, platform: c.Platform}
			if build, err = find(ctx, tx, product, key); err != nil {
				return err
			}
			if build == 0 {
				*missing = append(*missing, newBuild{product, key})
				build = -int64(len(*missing))
			}
			builds[c.Build] = build
		}
		var heaps any
		if c.Heaps.Total() > 0 {
			if heaps, err = c.Heaps.AppendBinary(nil); err != nil {
				return err
			}
		}
		n := c.Installations
		if err := insert.add(ctx, product, site, c.Span, c.Day, build, c.Reports, c.Instances, c.Checks, n.Daily, n.Weekly, n.Monthly, n.New, n.Back7, n.Back28, heaps); err != nil {
			return err
		}
		r.Cells++
	}
	return insert.flush(ctx)
}
