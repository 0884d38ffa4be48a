package db_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/db"
)

// The doctor finds impossible counts of installations and sites, also on days whose reports were
// deleted.
func testDoctorCounts(t *testing.T, name string) {
	s, site := newPopulatedStore(t, name), open(t, sameEngine(t, name))
	fold(t, s)
	const keep = 48 * time.Hour
	if err := s.SweepAt(context.Background(), db.Retention{Reports: keep}, time.Now()); err != nil {
		t.Fatal(err)
	}
	record(t, site, siteReports(1), 1)
	for i, threshold := range []int64{1, 10} {
		bundle := siteBundle(t, s, i, 1, worldDays.To)
		bundle.Threshold = threshold
		apply(t, s, bundle, counted(1, cellsOf(t, site, worldDays.To, threshold)))
	}
	if text := problems(examine(t, name, keep)); text != "" {
		t.Fatalf("intact store: got problems %s, want none", text)
	}
	const first = "day = (SELECT MIN(day) FROM installation_count)"
	const day = "span = 1 AND site = 1 AND daily > 0 AND day = (SELECT MAX(day) FROM site_count WHERE span = 1 AND site = 1 AND daily > 0)"
	const impossible = "impossible counts at site site0: "
	checkDamages(t, name, keep, []damage{
		{"UPDATE installation_count SET daily = daily + 100000 WHERE " + first, "statistics", "installations, and"},
		{"UPDATE installation_count SET new = daily + 1 WHERE " + first, "statistics", "impossible counts of installations"},
		{"UPDATE installation_count SET back28 = back7 + 1 WHERE " + first, "statistics", "impossible counts of installations"},
		{"UPDATE installation_count SET weekly = -1 WHERE " + first, "statistics", "impossible counts of installations"},
		{"UPDATE site_count SET new = daily + 1 WHERE " + day, "statistics", impossible + "the counts of installations contradict"},
		{"UPDATE site_count SET weekly = daily + 1 WHERE " + day, "statistics", impossible + "the counts of installations contradict"},
		{"UPDATE site_count SET reports = -1 WHERE " + day, "statistics", impossible + "a count is negative"},
		{"UPDATE site_count SET day = day + 1000 WHERE " + day, "statistics", impossible + "they are later than its last day"},
		{"UPDATE site_count SET day = day + 1 WHERE site = 1 AND span = 7", "statistics", impossible + "no such period begins"},
		{"UPDATE site_count SET checks = 1 WHERE site = 1 AND span = 28", "statistics", impossible + "only days can have"},
		{"UPDATE site_count SET build = build + 9999 WHERE " + day, "statistics", impossible + "there is no such build"},
		{"DELETE FROM site_product WHERE site = 1", "statistics", impossible + "there is no such site"},
	})
	if err := s.DropSite(context.Background(), "site0"); err != nil {
		t.Fatal(err)
	}
	execAll(t, raw(t, name), "UPDATE site_count SET reports = -1 WHERE site = 1") // which is not read any more
	if text := problems(examine(t, name, keep)); text != "" {
		t.Errorf("after the site was removed: got problems %s, want none", text)
	}
	late := db.Recorded{At: time.Now().Add(-keep - 36*time.Hour), Platform: linux, Report: *report("1.0.0")}
	late.Last = checker.NeverAnswered
	if _, err := s.Backfill(context.Background(), "opa", slices.Values([]db.Recorded{late}), slices.Values([]db.Checked(nil))); err != nil {
		t.Fatal(err)
	}
	if text := problems(examine(t, name, keep)); strings.Contains(text, "installations") {
		t.Errorf("a report of a day that was deleted, before it is folded: got problems %s, want none of installations", text)
	}
}
