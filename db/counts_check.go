package db

import (
	"context"
	"database/sql"
	"fmt"

	"relcheck/checker/stats/rollup"
)

const (
	// installationSchema is the first schema that counts installations and sites.
	installationSchema = 6
	// settled is the time after which a day gets no more reports, in seconds.
	settled = 60 * 60
)

// compareInstallations finds impossible counts of installations. It compares them with the
// first reports of their days in the log, on days that the log has completely and that get
// no more reports.
func (c *statisticsCheck) compareInstallations(ctx context.Context, tx *sql.Tx, product int64) error {
	first, err := firstCompleteDay(ctx, tx)
	if err != nil {
		return err
	}
	last := dayOf(c.now-settled) - 1
	slot := rollup.Slot{Period: rollup.Period{Span: rollup.OneDay}}
	counted := map[rollup.Slot]rollup.Installations{}
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		var n rollup.Installations
		err := rows.Scan(&slot.Day, &slot.Build, &n.Daily, &n.Weekly, &n.Monthly, &n.New, &n.Back7, &n.Back28)
		if !n.Possible() {
			c.mismatch(product, slot, fmt.Sprintf("has impossible counts of installations: %+v", n))
		}
		sum := counted[slot]
		sum.Add(n)
		counted[slot] = sum
		return err
	}, "SELECT day, build, daily, weekly, monthly, new, back7, back28 FROM installation_count WHERE product = $1", product)
	for slot, n := range counted {
		if logged := c.installations[productSlot{product, slot}]; first <= slot.Day && slot.Day <= last && n.Daily != logged {
			c.mismatch(product, slot, fmt.Sprintf("has %d installations, and the log %d", n.Daily, logged))
		}
	}
	for slot, n := range c.installations {
		if _, ok := counted[slot.Slot]; !ok && slot.product == product && first <= slot.Day && slot.Day <= last {
			c.mismatch(product, slot.Slot, fmt.Sprintf("has no installations, and the log %d", n))
		}
	}
	if err == nil {
		err = c.compareWithReports(ctx, tx, product, min(last, first-1))
	}
	return err
}

// compareWithReports finds days up to the last one, which need not be in the log, with more
// installations than reports: each installation has sent at least one.
func (c *statisticsCheck) compareWithReports(ctx context.Context, tx *sql.Tx, product int64, last rollup.Day) error {
	slot := rollup.Slot{Period: rollup.Period{Span: rollup.OneDay}}
	var installations, reports int64
	return eachRow(ctx, tx, func(rows *sql.Rows) error {
		err := rows.Scan(&slot.Day, &slot.Build, &installations, &reports)
		if reports += c.unfolded[productSlot{product, slot}]; installations > reports {
			c.mismatch(product, slot, fmt.Sprintf("has %d installations, and %d reports", installations, reports))
		}
		return err
	}, `SELECT counted.day, counted.build, counted.daily, COALESCE(rollup.reports, 0)
		FROM (SELECT day, build, CAST(SUM(daily) AS BIGINT) AS daily FROM installation_count WHERE product = $1 AND day <= $2 GROUP BY day, build) AS counted
		LEFT JOIN rollup ON rollup.product = $1 AND rollup.span = 1 AND rollup.day = counted.day AND rollup.build = counted.build
		WHERE counted.daily > COALESCE(rollup.reports, 0)`, product, last)
}

// checkSites finds impossible counts of sites.
func (c *statisticsCheck) checkSites(ctx context.Context, tx *sql.Tx, product int64) error {
	var heaps sql.RawBytes
	return eachRow(ctx, tx, func(rows *sql.Rows) error {
		var cell rollup.Cell
		var build int64
		var site sql.NullString
		var last sql.NullInt64
		n := &cell.Installations
		err := rows.Scan(&site, &last, &cell.Span, &cell.Day, &build, &cell.Version, &cell.OS, &cell.Arch, &cell.Reports, &cell.Instances, &cell.Checks,
			&n.Daily, &n.Weekly, &n.Monthly, &n.New, &n.Back7, &n.Back28, &heaps)
		if err != nil {
			return err
		}
		if text := checkSiteCell(&cell, heaps, last); text != "" {
			c.mismatch(product, rollup.Slot{Period: cell.Period, Build: build}, fmt.Sprintf("has impossible counts at site %s: %s", site.String, text))
		}
		return nil
	}, `SELECT site.name, site_product.last_day, site_count.span, site_count.day, site_count.build, COALESCE(build.version, ''), COALESCE(build.os, ''), COALESCE(build.arch, ''),
			site_count.reports, site_count.instances, site_count.checks, site_count.daily, site_count.weekly, site_count.monthly, site_count.new, site_count.back7, site_count.back28, site_count.heaps
		FROM site_count LEFT JOIN site ON site.id = site_count.site
			LEFT JOIN site_product ON site_product.product = site_count.product AND site_product.site = site_count.site
			LEFT JOIN build ON build.product = site_count.product AND build.id = site_count.build
		WHERE site_count.product = $1 AND (site.name IS NOT NULL OR site.id IS NULL)`, product) // without sites that are being removed
}

// checkSiteCell describes what is wrong with the counts of a build at a site, or returns "".
// The last day is unknown if the site or its bundle is.
func checkSiteCell(cell *rollup.Cell, heaps []byte, last sql.NullInt64) string {
	if len(heaps) > 0 {
		if err := cell.Heaps.UnmarshalBinary(heaps); err != nil {
			return err.Error()
		}
	}
	err := cell.Check()
	switch {
	case !last.Valid:
		return "there is no such site, or no bundle of it"
	case cell.Version == "":
		return "there is no such build"
	case cell.Span <= 0 || cell.Span.Start(cell.Day) != cell.Day:
		return "no such period begins on this day"
	case cell.Range().To > rollup.Day(last.Int64):
		return "they are later than its last day"
	case err != nil:
		return err.Error()
	}
	return ""
}
