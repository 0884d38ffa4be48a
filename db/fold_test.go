package db_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/simulate"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/stats/statstest"
	"relcheck/db"
)

func allBuilds(rollup.Build) bool { return true }

var today = rollup.DayOf(time.Now())

// readTotals returns the totals of opa for the last days.
func readTotals(t testing.TB, s *db.Store, days int) *rollup.Totals {
	t.Helper()
	f, err := s.Totals(context.Background(), "opa", rollup.Range{To: today}.Last(days), allBuilds)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func fold(t testing.TB, s *db.Store) (reports int64) {
	t.Helper()
	n, err := s.Fold(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// populate records the reports of a fleet as reports of opa.
func populate(t testing.TB, s *db.Store, f fleet.Fleet) (reports int64) {
	t.Helper()
	ctx := context.Background()
	past := simulate.Backfill{Fleet: f, Product: "opa", Until: (f.Range().To + 1).Time()}
	if err := past.Publish(ctx, s); err != nil {
		t.Fatal(err)
	}
	reports, err := past.Run(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

// checkTotals reports an error if two totals differ.
func checkTotals(t testing.TB, what string, got, want *rollup.Totals) {
	t.Helper()
	if diff := cmp.Diff(flatten(want), flatten(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// flatten returns the values of totals in a comparable form, independent of the encoding of
// sketches.
func flatten(f *rollup.Totals) (all []any) {
	all = append(all, f.Range, f.Known, f.Remembered, f.AsOf)
	for i := range f.Builds {
		b := &f.Builds[i]
		all = append(all, b.Build, b.Days, b.Weeks, b.Months, b.Installations, b.Recent, b.Reports, b.Distinct)
		for bucket, n := range b.Heaps.All() {
			all = append(all, bucket, n)
		}
	}
	return all
}

// recordRandom records n reports of three builds, from about n/2 instances.
func recordRandom(t testing.TB, w *db.Writer, n int, random *rand.Rand) {
	t.Helper()
	var wg sync.WaitGroup
	ids := make([]uuid.UUID, n/2+1)
	for i := range ids {
		ids[i] = uuid.New()
	}
	for range n {
		i := random.IntN(len(ids))
		r := checker.Report{ID: ids[i], Version: []string{"v1.0.0", "1.1.0", "odd"}[i%3]}
		if heap := random.Int64N(1 << 30); i%7 > 0 {
			r.HeapUsageBytes = &heap
		}
		wg.Go(func() {
			if _, err := w.Record(context.Background(), "opa", linux, &r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// The totals do not depend on the number of folds, on the process that folds, or on concurrent
// folds.
func testFoldInSteps(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	random := rand.New(rand.NewPCG(1, 2))
	const parts, each = 4, 500
	folded := int64(0)
	for range parts {
		recordRandom(t, w, each, random)
		folded += fold(t, s)
	}
	if folded != parts*each {
		t.Errorf("folded %d reports, want %d", folded, parts*each)
	}
	f := readTotals(t, s, 28)
	if n := fold(t, s); n != 0 {
		t.Errorf("second fold: folded %d reports, want none", n)
	}
	checkTotals(t, "totals after a second fold", readTotals(t, s, 28), f)

	raw := raw(t, name)
	for _, table := range []string{"mark", "fold", "rollup", "sketch", "life"} { // undo the fold
		if _, err := raw.Exec("DELETE FROM " + table); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, name) // s caches that the reports are folded
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := again.Fold(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checkTotals(t, "totals after concurrent folds", readTotals(t, s, 28), f)
	var reports, ids int64
	for i := range f.Builds {
		reports += f.Builds[i].Reports
		ids += f.Builds[i].Instances
	}
	distinct := map[uuid.UUID]bool{}
	for _, r := range recorded(t, s, "opa") {
		distinct[r.ID] = true
	}
	if reports != parts*each || ids != int64(len(distinct)) {
		t.Errorf("got %d reports of %d instances, want %d of %d", reports, ids, parts*each, len(distinct))
	}
}

// An instance is counted for the product that it reports.
func testFoldByProduct(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	for i, product := range []string{"opa", "relcheck", "opa"} {
		if _, err := w.Record(context.Background(), product, linux, report("v1.0.0")); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			fold(t, s)
		}
	}
	if n := fold(t, s); n != 2 {
		t.Errorf("folded %d reports, want 2", n)
	}
	if n := statstest.Instances(readTotals(t, s, 1)); n != 2 {
		t.Errorf("got %d instances, want 2", n)
	}
	if err := s.RemoveProduct(context.Background(), "opa", true); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"mark", "fold", "rollup", "sketch", "life"} {
		var n int
		if err := raw(t, name).QueryRow("SELECT count(*) FROM " + table + " WHERE product = 1").Scan(&n); err != nil || n != 0 {
			t.Errorf("table %s: got %d rows of a removed product (error %v), want none", table, n, err)
		}
	}
	if n := fold(t, s); n != 0 {
		t.Errorf("fold after the removal: folded %d reports, want none", n)
	}
}

// Thousands of products without reports do not slow down folding. Their positions in the log
// are advanced now and then, so that the next process need not read the whole log for them.
func TestFoldWithManyProducts(t *testing.T) {
	const many = 5000
	shortest := func(products int) time.Duration {
		name := engines["SQLite"](t)
		s := open(t, name)
		execute(t, raw(t, name), fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO product (id, name, title, repo, module, download, notes) SELECT i, 'app' || i, 'App', '', '', '', '' FROM n`, products))
		took := []time.Duration{}
		for range 3 {
			var reports []db.Recorded
			for range 4000 {
				reports = append(reports, db.Recorded{At: time.Now(), Platform: linux, Report: *report("1.0.0")})
			}
			backfill(t, s, reports)
			begin := time.Now()
			if n := fold(t, s); n != 4000 {
				t.Errorf("with %d products: folded %d reports, want 4000", products, n)
			}
			took = append(took, time.Since(begin))
		}
		return slices.Min(took)
	}
	few, most := shortest(4), shortest(many)
	t.Logf("%v with 4 products, %v with %d", few, most, many)
	if most > 10*few {
		t.Errorf("folding with %d products took %v, want at most 10 times the %v of 4 products", many, most, few)
	}
}

// A product that cannot be folded is folded later, without delaying the others. The next
// process starts where all products are folded.
func TestFoldAfterError(t *testing.T) {
	name := engines["SQLite"](t)
	s := open(t, name)
	d := raw(t, name)
	w := writer(t, s)
	defer w.Close()
	record := func(product string) {
		t.Helper()
		if _, err := w.Record(context.Background(), product, linux, report("1.0.0")); err != nil {
			t.Fatal(err)
		}
	}
	record("relcheck")
	record("opa")
	fold(t, s)
	execute(t, d, "CREATE TRIGGER fails BEFORE UPDATE ON fold WHEN NEW.product = 2 BEGIN SELECT RAISE(ABORT, 'no'); END")
	record("relcheck")
	record("opa")
	for range 2 {
		if _, err := s.Fold(context.Background()); err == nil {
			t.Error("Fold of a failing product: got no error")
		}
		record("opa")
	}
	if _, err := s.Fold(context.Background()); err == nil {
		t.Error("Fold of a failing product: got no error")
	}
	execute(t, d, "DROP TRIGGER fails")
	if n := fold(t, s); n != 1 {
		t.Errorf("fold after the failure: folded %d reports, want 1", n)
	}
	record("relcheck")
	if n := fold(t, open(t, name)); n != 1 {
		t.Errorf("fold by another process: folded %d reports, want 1", n)
	}
	if n := fold(t, s); n != 0 {
		t.Errorf("second fold: folded %d reports, want none", n)
	}
}
