package db

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"relcheck/checker/stats/rollup"
)

// siteCells are the counts of sites.
type siteCells map[siteBuild][]rollup.Cell

type siteBuild struct{ build, site int64 }

// withSites reads the totals of the store and its sites, or of one of them.
func (r *totalsReader) withSites(ctx context.Context, site string, keep func(rollup.Build) bool) error {
	none := rollup.Range{From: 0, To: -1}
	r.totals.Known, r.totals.Remembered = none, none
	selected, err := r.selectSites(ctx, site)
	if err != nil {
		return err
	}
	if site == "" || site == rollup.LocalSite {
		err = r.all(ctx, keep)
	} else {
		r.merged <- nil
	}
	if err == nil && len(selected) > 0 {
		err = r.readSites(ctx, selected, keep)
	}
	return err
}

// selectSites reads which sites have counts of the product, and returns the IDs of those
// whose counts are read.
func (r *totalsReader) selectSites(ctx context.Context, site string) (selected []int64, err error) {
	var newest time.Time
	err = eachRow(ctx, r.tx, func(rows *sql.Rows) error {
		var id, created int64
		var s rollup.SiteTotals
		err := rows.Scan(&id, &s.Name, &s.Through, &created)
		if s.Included = site == "" || site == s.Name; s.Included {
			selected = append(selected, id)
			if at := timeOf(created); at.After(newest) {
				newest = at
			}
		}
		r.totals.Sites = append(r.totals.Sites, s)
		return err
	}, `SELECT site.id, site.name, site_product.last_day, site_product.created FROM site_product
		JOIN site ON site.id = site_product.site AND site.name IS NOT NULL WHERE site_product.product = $1`, r.product)
	slices.SortFunc(r.totals.Sites, func(a, b rollup.SiteTotals) int { return strings.Compare(a.Name, b.Name) })
	r.totals.AsOf = newest // unless the store itself has reports
	if err == nil && site != "" && site != rollup.LocalSite && len(selected) == 0 {
		if _, err = siteNamed(ctx, r.tx, site); err == nil {
			err = fmt.Errorf("site %s has no counts of the product: %w; list the sites with relcheck site list", site, ErrNotFound)
		}
	}
	return selected, err
}

// readSites reads the counts of sites.
func (r *totalsReader) readSites(ctx context.Context, sites []int64, keep func(rollup.Build) bool) error {
	if err := r.readKnownSites(ctx, sites); err != nil {
		return err
	}
	days := r.totals.Range
	days.From = min(days.Previous().From, days.Last(28).Previous().From, days.WithInstallations().From)
	in, list := r.inList("$4", sites)
	kept := map[int64]bool{}
	r.sites = siteCells{}
	var heaps sql.RawBytes
	err := eachRow(ctx, r.tx, func(rows *sql.Rows) error {
		var at siteBuild
		var c rollup.Cell
		n := &c.Installations
		err := rows.Scan(&at.site, &at.build, &c.Version, &c.OS, &c.Arch, &c.Span, &c.Day, &c.Reports, &c.Instances, &c.Checks, &n.Daily, &n.Weekly, &n.Monthly, &n.New, &n.Back7, &n.Back28, &heaps)
		if err != nil {
			return err
		}
		keeps, known := kept[at.build]
		if !known {
			keeps = keep(c.Build)
			kept[at.build] = keeps
		}
		if !keeps {
			return nil
		}
		if len(heaps) > 0 && r.totals.Range.Contains(c.Day) {
			err = c.Heaps.UnmarshalBinary(heaps)
		}
		r.sites[at] = append(r.sites[at], c)
		return err
	}, `SELECT site_count.site, build.id, build.version, build.os, build.arch, site_count.span, site_count.day, site_count.reports, site_count.instances, site_count.checks,
			site_count.daily, site_count.weekly, site_count.monthly, site_count.new, site_count.back7, site_count.back28, site_count.heaps
		FROM site_count JOIN build ON build.product = site_count.product AND build.id = site_count.build
		WHERE site_count.product = $1 AND site_count.day BETWEEN $2 AND $3 AND site_count.site `+in, r.product, days.From, days.To, list)
	return err
}

// readKnownSites extends the days with data by the days of sites.
func (r *totalsReader) readKnownSites(ctx context.Context, sites []int64) error {
	in, list := r.inList("$2", sites)
	var from, to, first, last sql.NullInt64
	err := r.tx.QueryRowContext(ctx, `SELECT MIN(day), MAX(day), MIN(CASE WHEN daily > 0 THEN day END), MAX(CASE WHEN daily > 0 THEN day END)
		FROM site_count WHERE product = $1 AND span = 1 AND site `+in, r.product, list).Scan(&from, &to, &first, &last)
	extend(&r.totals.Known, from, to)
	extend(&r.totals.Remembered, first, last)
	return err
}

// extend extends a range to include others, unless they are NULL.
func extend(r *rollup.Range, from, to sql.NullInt64) {
	switch other := (rollup.Range{From: rollup.Day(from.Int64), To: rollup.Day(to.Int64)}); {
	case !from.Valid:
	case r.Days() == 0:
		*r = other
	default:
		*r = rollup.Range{From: min(r.From, other.From), To: max(r.To, other.To)}
	}
}

// addSites adds the counts of sites, after the rollups of the store were merged.
func (r *totalsReader) addSites() {
	for at, cells := range r.sites {
		slices.SortFunc(cells, func(a, b rollup.Cell) int { return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Span, b.Span)) })
		if r.builds[at.build] == nil {
			r.builds[at.build] = &rollup.BuildTotals{Build: cells[0].Build}
			r.ids = append(r.ids, at.build)
		}
		r.builds[at.build].AddSite(r.totals.Range, cells)
	}
	slices.Sort(r.ids)
}
