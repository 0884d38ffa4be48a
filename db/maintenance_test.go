package db_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// recordDaily records a report and two checks of two products for each day, from days ago
// until now.
func recordDaily(t *testing.T, s *db.Store, now time.Time, days int) (ids []uuid.UUID) {
	t.Helper()
	var reports []db.Recorded
	var checks []db.Checked
	for d := days; d >= 0; d-- {
		at := now.AddDate(0, 0, -d)
		ids = append(ids, uuid.New())
		reports = append(reports, db.Recorded{At: at, Platform: linux, Report: checker.Report{ID: ids[len(ids)-1], Version: "v1.0.0"}})
		checks = append(checks, db.Checked{Day: at, Version: "v1.0.0", Platform: linux, Count: 2})
	}
	for _, product := range []string{"opa", "relcheck"} {
		if n, err := s.Backfill(context.Background(), product, slices.Values(reports), slices.Values(checks)); err != nil || n != int64(len(reports)) {
			t.Fatalf("recorded %d reports (error %v), want %d", n, err, len(reports))
		}
	}
	return ids
}

func testSweep(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	now := time.Now()
	const days, kept = 100, 10
	ids := recordDaily(t, s, now, days)
	sweep := func(keep db.Retention, at time.Time) {
		t.Helper()
		if err := s.SweepAt(ctx, keep, at); err != nil {
			t.Fatal(err)
		}
	}
	reports := func(want int) {
		t.Helper()
		for _, product := range []string{"opa", "relcheck"} {
			if all := recorded(t, s, product); len(all) != want || all[want-1].ID != ids[days] {
				t.Errorf("%s: got %d reports, want the last %d", product, len(all), want)
			}
		}
	}
	keep := db.Retention{Reports: kept*24*time.Hour + time.Minute}
	sweep(keep, now)
	reports(days + 1) // none is folded yet
	fold(t, s)
	before := readTotals(t, s, days+1)
	sweep(keep, now.Add(59*time.Minute))
	reports(days + 1) // the next sweep is not due yet
	sweep(db.Retention{}, now.Add(32*time.Hour))
	reports(days + 1) // without a limit
	sweep(db.Retention{Reports: keep.Reports + 33*time.Hour}, now.Add(33*time.Hour))
	reports(kept + 1)
	checkTotals(t, "totals after the sweep", readTotals(t, s, days+1), before)
	if n := fold(t, s); n != 0 {
		t.Errorf("second fold: folded %d reports, want none", n)
	}

	cut := rollup.FourWeeks.Start(rollup.DayOf(now.Add(34*time.Hour).AddDate(0, 0, -40)))
	sweep(db.Retention{Rollups: 40 * 24 * time.Hour}, now.Add(34*time.Hour))
	if f := readTotals(t, s, days+1); f.Known.From != cut || len(f.Builds) != 1 || f.Builds[0].Days[0].Day != cut || f.Builds[0].Days[0].Checks != 2 {
		t.Errorf("got totals from %s, want them from %s", f.Known.From, cut)
	}
}

// The last period of a product stays unfinished if no more reports arrive. Its rollups expire,
// too.
func testSweepUnfinishedPeriod(t *testing.T, name string) {
	s := open(t, name)
	now := time.Now()
	backfill(t, s, []db.Recorded{{At: now.AddDate(0, 0, -70), Platform: linux, Report: *report("v1.0.0")}})
	fold(t, s)
	if f := readTotals(t, s, 100); len(f.Builds) != 1 || f.Builds[0].Reports != 1 {
		t.Fatalf("got totals %+v, want one report", f)
	}
	if err := s.SweepAt(context.Background(), db.Retention{Rollups: 40 * 24 * time.Hour}, now); err != nil {
		t.Fatal(err)
	}
	if f := readTotals(t, s, 100); len(f.Builds) > 0 || f.Known.Days() > 0 {
		t.Errorf("got totals %+v, want none", f)
	}
}

// A new report does not reuse the sequence number of a removed one.
func testRecordAfterSweep(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	now := time.Now()
	recordDaily(t, s, now, 3)
	fold(t, s)
	if err := s.SweepAt(ctx, db.Retention{Reports: time.Hour}, now.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := len(recorded(t, s, "opa")); n != 0 {
		t.Fatalf("got %d reports, want none", n)
	}
	w := writer(t, s)
	if _, err := w.Record(ctx, "opa", linux, report("v1.0.0")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if n := fold(t, s); n != 1 {
		t.Errorf("folded %d reports, want 1", n)
	}
}

// Reports that are not folded yet are kept, however old they are.
func testSweepKeepsUnfolded(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	now := time.Now()
	recordDaily(t, s, now.AddDate(0, 0, -50), 20)
	fold(t, s)
	late := recordDaily(t, s, now.AddDate(0, 0, -50), 20)
	if err := s.SweepAt(ctx, db.Retention{Reports: 24 * time.Hour}, now); err != nil {
		t.Fatal(err)
	}
	for _, product := range []string{"opa", "relcheck"} {
		all := recorded(t, s, product)
		if len(all) != len(late) {
			t.Fatalf("%s: got %d reports, want the %d unfolded ones", product, len(all), len(late))
		}
		for i, r := range all {
			if r.ID != late[i] {
				t.Errorf("report %d: got instance ID %s, want %s", i, r.ID, late[i])
			}
		}
	}
}

// If the clock was fast for a while, reports with a later time precede earlier ones in the
// log. The sweep keeps them and removes the expired ones.
func testSweepAfterFutureReports(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	now := time.Now()
	recordDaily(t, s, now.AddDate(1, 0, 0), 0)
	recordDaily(t, s, now.AddDate(0, 0, -60), 3)
	fold(t, s)
	if err := s.SweepAt(ctx, db.Retention{Reports: 24 * time.Hour}, now); err != nil {
		t.Fatal(err)
	}
	if n := len(recorded(t, s, "opa")); n != 1 {
		t.Errorf("got %d reports, want the one from the future", n)
	}
}

// Damaged statistics of one product do not affect other products.
func testFoldWithDamagedProduct(t *testing.T, name string) {
	s := open(t, name)
	recordDaily(t, s, time.Now(), 0)
	fold(t, s)
	if _, err := raw(t, name).Exec("UPDATE sketch SET data = data || data WHERE product = 1"); err != nil {
		t.Fatal(err)
	}
	recordDaily(t, s, time.Now(), 0)
	if n, err := s.Fold(context.Background()); err == nil || n != 1 {
		t.Errorf("folded %d reports (error %v), want the one of the other product and an error", n, err)
	}
}
