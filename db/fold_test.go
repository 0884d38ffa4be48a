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
	"relcheck/db"
)

func allBuilds(rollup.Build) bool { return true }

var today = rollup.DayOf(time.Now())

// readTotals returns what is known of opa in the last days.
func readTotals(t testing.TB, s *db.Store, days int) *rollup.Totals {
	t.Helper()
	f, err := s.Figures(context.Background(), "opa", rollup.Range{To: today}.Last(days), allBuilds)
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

// checkTotals tells whether two readings have the same figures.
func checkTotals(t testing.TB, what string, got, want *rollup.Totals) {
	t.Helper()
	if diff := cmp.Diff(flatten(want), flatten(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// flatten lists figures. How a sketch is laid out is no part of them.
func flatten(f *rollup.Totals) (all []any) {
	all = append(all, f.Range, f.Known, f.AsOf)
	for i := range f.Builds {
		b := &f.Builds[i]
		all = append(all, b.Build, b.Days, b.Weeks, b.Months, b.Recent, b.Reports, b.Distinct)
		for bucket, n := range b.Heaps.All() {
			all = append(all, bucket, n)
		}
	}
	return all
}

// recordRandom records reports of some builds, of ids that report up to three times.
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
			if err := w.Record(context.Background(), "opa", linux, &r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// However the log is cut into steps, whoever makes them, and how often, the
// figures are the same.
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
		t.Errorf("folded %d reports of %d", folded, parts*each)
	}
	f := readTotals(t, s, 28)
	if n := fold(t, s); n != 0 {
		t.Errorf("folded %d reports twice", n)
	}
	checkTotals(t, "folding what was folded", readTotals(t, s, 28), f)

	raw := raw(t, name)
	for _, table := range []string{"mark", "fold", "rollup", "sketch", "life"} { // as if it had never been folded
		if _, err := raw.Exec("DELETE FROM " + table); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, name) // s remembers that it has folded them
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := again.Fold(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checkTotals(t, "folding at once", readTotals(t, s, 28), f)
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
		t.Errorf("%d reports of %d ids, want %d of %d", reports, ids, parts*each, len(distinct))
	}
}

// An id belongs to the product that it reported about.
func testFoldByProduct(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	for i, product := range []string{"opa", "relcheck", "opa"} {
		if err := w.Record(context.Background(), product, linux, report("v1.0.0")); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			fold(t, s)
		}
	}
	if n := fold(t, s); n != 2 {
		t.Errorf("folded %d reports, want 2", n)
	}
	if n := readTotals(t, s, 1).Instances(); n != 2 {
		t.Errorf("%d ids, want 2", n)
	}
	if err := s.RemoveProduct(context.Background(), "opa", true); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"mark", "fold", "rollup", "sketch", "life"} {
		var n int
		if err := raw(t, name).QueryRow("SELECT count(*) FROM " + table + " WHERE product = 1").Scan(&n); err != nil || n != 0 {
			t.Errorf("table %s keeps %d rows of a removed product, %v", table, n, err)
		}
	}
	if n := fold(t, s); n != 0 {
		t.Errorf("folded %d reports of nothing", n)
	}
}

// Folding takes about as long beside thousands of products without reports as
// beside none. These have their marks moved now and then, so that the next process
// does not go through the log for them.
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
				t.Errorf("beside %d products, %d reports are folded", products, n)
			}
			took = append(took, time.Since(begin))
		}
		return slices.Min(took)
	}
	few, most := shortest(4), shortest(many)
	t.Logf("%v beside a few products, %v beside %d", few, most, many)
	if most > 10*few {
		t.Errorf("folding takes %v beside %d products, %v beside a few", most, many, few)
	}
}

// A product that fails is folded later, though others go on; and the next process
// begins where all are folded.
func TestFoldAfterError(t *testing.T) {
	name := engines["SQLite"](t)
	s := open(t, name)
	d := raw(t, name)
	w := writer(t, s)
	defer w.Close()
	record := func(product string) {
		t.Helper()
		if err := w.Record(context.Background(), product, linux, report("1.0.0")); err != nil {
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
			t.Error("the one that fails is folded")
		}
		record("opa")
	}
	if _, err := s.Fold(context.Background()); err == nil {
		t.Error("the one that fails is folded")
	}
	execute(t, d, "DROP TRIGGER fails")
	if n := fold(t, s); n != 1 {
		t.Errorf("%d reports of the one that failed are folded later", n)
	}
	record("relcheck")
	if n := fold(t, open(t, name)); n != 1 {
		t.Errorf("%d reports are folded by another process", n)
	}
	if n := fold(t, s); n != 0 {
		t.Errorf("%d reports are folded twice", n)
	}
}
