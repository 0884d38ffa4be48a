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

// recordDaily records a report of each day, from days ago until now, and checks.
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
			t.Fatalf("recorded %d of %d reports, %v", n, len(reports), err)
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
				t.Errorf("%d reports of %s are left, want the last %d", len(all), product, want)
			}
		}
	}
	keep := db.Retention{Reports: kept*24*time.Hour + time.Minute}
	sweep(keep, now)
	reports(days + 1) // none is folded
	fold(t, s)
	before := readTotals(t, s, days+1)
	sweep(keep, now.Add(59*time.Minute))
	reports(days + 1) // it is not an hour later
	sweep(db.Retention{}, now.Add(32*time.Hour))
	reports(days + 1) // kept for ever
	sweep(db.Retention{Reports: keep.Reports + 33*time.Hour}, now.Add(33*time.Hour))
	reports(kept + 1)
	checkTotals(t, "without the reports", readTotals(t, s, days+1), before)
	if n := fold(t, s); n != 0 {
		t.Errorf("folded %d reports again", n)
	}

	cut := rollup.FourWeeks.Start(rollup.DayOf(now.Add(34*time.Hour).AddDate(0, 0, -40)))
	sweep(db.Retention{Rollups: 40 * 24 * time.Hour}, now.Add(34*time.Hour))
	if f := readTotals(t, s, days+1); f.Known.From != cut || len(f.Builds) != 1 || f.Builds[0].Days[0].Day != cut || f.Builds[0].Days[0].Checks != 2 {
		t.Errorf("figures are kept from %s on, want from %s on", f.Known.From, cut)
	}
}

// The weeks of the last report there was do not end, and yet what is known of it does.
func testSweepUnfinishedPeriod(t *testing.T, name string) {
	s := open(t, name)
	now := time.Now()
	backfill(t, s, []db.Recorded{{At: now.AddDate(0, 0, -70), Platform: linux, Report: *report("v1.0.0")}})
	fold(t, s)
	if f := readTotals(t, s, 100); len(f.Builds) != 1 || f.Builds[0].Reports != 1 {
		t.Fatalf("%+v", f)
	}
	if err := s.SweepAt(context.Background(), db.Retention{Rollups: 40 * 24 * time.Hour}, now); err != nil {
		t.Fatal(err)
	}
	if f := readTotals(t, s, 100); len(f.Builds) > 0 || f.Known.Days() > 0 {
		t.Errorf("it is still known: %+v", f)
	}
}

// A report that was removed gives its place in the order to no other.
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
		t.Fatalf("%d reports are left", n)
	}
	w := writer(t, s)
	if err := w.Record(ctx, "opa", linux, report("v1.0.0")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if n := fold(t, s); n != 1 {
		t.Errorf("folded %d reports, want 1", n)
	}
}

// What is not folded yet is kept, however old it is.
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
			t.Fatalf("%d reports of %s are left, want the %d that are not folded", len(all), product, len(late))
		}
		for i, r := range all {
			if r.ID != late[i] {
				t.Errorf("report %d is that of %s, want %s", i, r.ID, late[i])
			}
		}
	}
}

// A clock that was ahead leaves new reports before old ones.
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
		t.Errorf("%d reports are left, want the one that is ahead", n)
	}
}

// What is wrong with one product is no matter of the others.
func testFoldWithDamagedProduct(t *testing.T, name string) {
	s := open(t, name)
	recordDaily(t, s, time.Now(), 0)
	fold(t, s)
	if _, err := raw(t, name).Exec("UPDATE sketch SET data = data || data WHERE product = 1"); err != nil {
		t.Fatal(err)
	}
	recordDaily(t, s, time.Now(), 0)
	if n, err := s.Fold(context.Background()); err == nil || n != 1 {
		t.Errorf("folded %d reports, %v; want the one of the other product, and an error", n, err)
	}
}
