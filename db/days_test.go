package db_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// dayCounts returns the numbers of instances and installations by build and day, on the days of
// some ranges.
func dayCounts(builds []rollup.BuildTotals, ranges ...rollup.Range) map[string][2]int64 {
	counts := map[string][2]int64{}
	add := func(b rollup.Build, d rollup.Day, instances, installations int64) {
		if slices.ContainsFunc(ranges, func(r rollup.Range) bool { return r.Contains(d) }) && instances+installations > 0 {
			key := fmt.Sprint(b, d)
			counts[key] = [2]int64{counts[key][0] + instances, counts[key][1] + installations}
		}
	}
	for _, b := range builds {
		for _, c := range b.Days {
			add(b.Build, c.Day, c.Instances, 0)
		}
		for _, n := range b.Installations {
			add(b.Build, n.Day, 0, n.Daily)
		}
	}
	return counts
}

// Days has the same counts as the totals: of the store, of a site, and of both.
func testDays(t *testing.T, name string) {
	ctx, s, site := context.Background(), open(t, name), open(t, sameEngine(t, name))
	record(t, s, siteReports(1), 1)
	record(t, site, siteReports(2), 1)
	apply(t, s, siteBundle(t, s, 0, 1, worldDays.To), counted(1, cellsOf(t, site, worldDays.To, 1)))
	ranges := []rollup.Range{{From: worldDays.From - 5, To: worldDays.From + 20}, {From: worldDays.To - 9, To: worldDays.To + 9}}
	linuxOnly := func(b rollup.Build) bool { return b.OS == "linux" }
	for _, of := range []string{"", rollup.LocalSite, "site0"} {
		for what, keep := range map[string]func(rollup.Build) bool{"all": allBuilds, "linux": linuxOnly} {
			totals, err := s.TotalsAt(ctx, "opa", of, worldDays, keep)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Days(ctx, "opa", of, ranges, keep)
			if err != nil {
				t.Fatal(err)
			}
			want := dayCounts(totals.Builds, ranges...)
			if diff := cmp.Diff(want, dayCounts(got, worldDays)); diff != "" || len(want) == 0 {
				t.Errorf("site %q, builds %s (-want +got):\n%s", of, what, diff)
			}
		}
	}
	if got, err := s.Days(ctx, "opa", "", nil, allBuilds); err != nil || len(got) > 0 {
		t.Errorf("no ranges: got %d builds (error %v), want none", len(got), err)
	}
	if err := s.DropSite(ctx, "site0"); err != nil { // its counts are still there
		t.Fatal(err)
	}
	local := dayCounts(mustDays(t, s, rollup.LocalSite, ranges), ranges...)
	for of, want := range map[string]map[string][2]int64{"site0": {}, "": local} {
		if diff := cmp.Diff(want, dayCounts(mustDays(t, s, of, ranges), ranges...)); diff != "" {
			t.Errorf("site %q after the site was removed (-want +got):\n%s", of, diff)
		}
	}
}

func mustDays(t testing.TB, s *db.Store, site string, ranges []rollup.Range) []rollup.BuildTotals {
	t.Helper()
	all, err := s.Days(context.Background(), "opa", site, ranges, allBuilds)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
