package db_test

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// countedInstallations returns the sum of all counts of installations.
func countedInstallations(t testing.TB, d *sql.DB) (n rollup.Installations) {
	t.Helper()
	err := d.QueryRow(`SELECT COALESCE(sum(daily), 0), COALESCE(sum(weekly), 0), COALESCE(sum(monthly), 0), COALESCE(sum(new), 0),
		COALESCE(sum(back7), 0), COALESCE(sum(back28), 0) FROM installation_count`).Scan(&n.Daily, &n.Weekly, &n.Monthly, &n.New, &n.Back7, &n.Back28)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Installations are counted exactly, also if several servers record at the same time, and
// without an instance ID. They count no instances, but their heaps count: once for each
// instance ID and day, or for the first report of a day without an ID.
func testInstallations(t *testing.T, name string) {
	s := open(t, name)
	writers := []*db.Writer{writer(t, s)}
	if strings.HasPrefix(name, "postgres://") {
		writers = append(writers, writer(t, open(t, name)))
	}
	day := rollup.DayOf(time.Now())
	id, heap := uuid.New(), int64(1<<20)
	lasts := []checker.Last{checker.NeverAnswered, checker.Last(day), checker.Last(day - 1), checker.Last(day - 8), checker.Last(day + 1), checker.Last(day + 2), checker.UnusableLast}
	const rounds = 40
	var want rollup.Installations
	var recording sync.WaitGroup
	for i := range rounds {
		for _, last := range lasts {
			want.Add(rollup.CountLast(last, day))
			r := &checker.Report{Version: []string{"1.0.0", "1.1.0"}[i%2], HeapUsageBytes: &heap, Last: last}
			if i%4 == 0 && rollup.Remembers(last, day) {
				r.ID = id
			}
			recording.Go(func() {
				if got, err := writers[i%len(writers)].Record(context.Background(), "opa", linux, r); err != nil || got != day {
					t.Errorf("last %v: got day %v (error %v), want %v", last, got, err, day)
				}
			})
		}
	}
	recording.Wait()
	for _, w := range writers {
		w.Close()
	}
	if today := rollup.DayOf(time.Now()); today != day {
		t.Skip("midnight has passed")
	}
	if got := countedInstallations(t, raw(t, name)); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if n, all := fold(t, s), int64(rounds*len(lasts)); n != all {
		t.Errorf("folded %d reports, want %d", n, all)
	}
	var reports, instances, heaps int64
	for _, b := range readTotals(t, s, 1).Builds {
		reports += b.Reports
		instances += b.Instances
		heaps += b.Heaps.Total()
	}
	// Each build counts the ID once. Without an ID, three of the seven reports of a round are
	// the first of their day.
	if wantHeaps := int64(1 + rounds/4*3*3); reports != rounds*int64(len(lasts)) || instances != 0 || heaps != wantHeaps {
		t.Errorf("got %d reports, %d instances and %d heaps, want %d, 0 and %d", reports, instances, heaps, rounds*len(lasts), wantHeaps)
	}
}

// Clients that cannot remember count as before.
func testReportsWithoutMemory(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	for range 3 {
		if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
			t.Fatal(err)
		}
	}
	unusable := report("1.0.0")
	unusable.Last = checker.UnusableLast
	if _, err := w.Record(context.Background(), "opa", linux, unusable); err != nil {
		t.Fatal(err)
	}
	w.Close()
	fold(t, s)
	if n := countedInstallations(t, raw(t, name)); !n.IsZero() {
		t.Errorf("got %+v, want no installations", n)
	}
	if b := readTotals(t, s, 1).Builds; len(b) != 1 || b[0].Instances != 4 {
		t.Errorf("got %+v, want one build with 4 instances", b)
	}
}
