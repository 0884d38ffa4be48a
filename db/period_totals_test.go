package db_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// history is the reports of a few builds over some months. Each instance has one build.
type history struct {
	random  *rand.Rand
	ids     []uuid.UUID
	first   rollup.Day
	newest  rollup.Day
	reports []sentReport
}

type sentReport struct {
	day  rollup.Day
	id   int // index in ids
	heap int64
}

func versionOf(id int) string { return fmt.Sprintf("1.%d.0", id%3) }

// extend adds reports and returns them. Most are newer than the last ones, some by weeks, and
// some are late by any number of days.
func (l *history) extend() (more []db.Recorded) {
	for range 1 + l.random.IntN(6) {
		day := l.first + rollup.Day(l.random.Int64N(int64(l.newest-l.first)+1))
		if l.random.IntN(3) > 0 {
			day = min(l.newest+[]rollup.Day{0, 0, 0, 1, 1, 1, 1, 1, 7, 25}[l.random.IntN(10)], today-1)
			l.newest = max(l.newest, day)
		}
		id := l.random.IntN(len(l.ids))
		if len(l.reports) > 0 && l.random.IntN(3) == 0 { // another report of the same instance and day
			again := l.reports[l.random.IntN(len(l.reports))]
			day, id = again.day, again.id
		}
		heap := int64(1) << (20 + l.random.IntN(3))
		l.reports = append(l.reports, sentReport{day, id, heap})
		more = append(more, db.Recorded{At: day.Time().Add(12 * time.Hour), Platform: linux, Report: checker.Report{ID: l.ids[id], Version: versionOf(id), HeapUsageBytes: &heap}})
	}
	return more
}

// count returns the count of a version over a range of days.
func (l *history) count(version string, days rollup.Range) (c rollup.Count) {
	seen := map[int]bool{}
	for _, r := range l.reports {
		if versionOf(r.id) == version && days.Contains(r.day) {
			c.Reports++
			seen[r.id] = true
		}
	}
	c.Day, c.Instances = days.From, int64(len(seen))
	return c
}

// counts returns the counts of all complete periods in a range that have reports.
func (l *history) counts(version string, r rollup.Range, s rollup.Span) (all []rollup.Count) {
	for d := r.From; d <= r.To; d++ {
		if p := (rollup.Period{Span: s, Day: d}); s.Start(d) == d && p.Range().To <= r.To {
			if c := l.count(version, p.Range()); c.Reports > 0 {
				all = append(all, c)
			}
		}
	}
	return all
}

// heaps returns a histogram of the highest heap usage of each instance and day.
func (l *history) heaps(version string, days rollup.Range) map[int]int64 {
	type visit struct {
		day rollup.Day
		id  int
	}
	highest, counts := map[visit]int64{}, map[int]int64{}
	for _, r := range l.reports {
		if versionOf(r.id) == version && days.Contains(r.day) {
			v := visit{r.day, r.id}
			highest[v] = max(highest[v], r.heap)
		}
	}
	for _, heap := range highest {
		counts[rollup.HeapBucket(heap)]++
	}
	return counts
}

// check compares all totals over more than a day with the history.
func (l *history) check(t *testing.T, s *db.Store, r rollup.Range) {
	t.Helper()
	f, err := s.Totals(context.Background(), "opa", r, allBuilds)
	if err != nil {
		t.Fatal(err)
	}
	type sums struct {
		Whole               rollup.Count
		Weeks, Months       []rollup.Count
		Week, Month, Before int64
		Heaps               map[int]int64
	}
	got, want := map[string]sums{}, map[string]sums{}
	for _, b := range f.Builds {
		got[b.Version] = sums{rollup.Count{Day: r.From, Reports: b.Reports, Instances: b.Instances}, since(r.From, b.Weeks), since(r.From, b.Months), b.Recent.Week, b.Recent.Month, b.Recent.RangeBefore, maps.Collect(b.Heaps.All())}
	}
	for id := range 3 {
		version := versionOf(id)
		ids := func(r rollup.Range) int64 { return l.count(version, r).Instances }
		expected := sums{l.count(version, r), l.counts(version, r, rollup.OneWeek), l.counts(version, r, rollup.FourWeeks), ids(r.Last(7)), ids(r.Last(28)), ids(r.Previous()), l.heaps(version, r)}
		if _, ok := got[version]; ok || !cmp.Equal(expected, sums{Whole: rollup.Count{Day: r.From}, Heaps: map[int]int64{}}) {
			want[version] = expected
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s to %s, with the newest report on %s (-want +got):\n%s", r.From, r.To, l.newest, diff)
	}
}

// since returns the counts of periods that begin on a day or later.
func since(d rollup.Day, counts []rollup.Count) []rollup.Count {
	i := slices.IndexFunc(counts, func(c rollup.Count) bool { return c.Day >= d })
	if i < 0 {
		return nil
	}
	return counts[i:]
}

// The totals of weeks and four weeks agree with the reports of their days: during the period,
// just after its end, and when reports arrive late. Rollups that an earlier relcheck wrote for
// unfinished periods are ignored.
func testPeriodTotals(t *testing.T, name string) {
	s, raw := open(t, name), raw(t, name)
	l := history{random: rand.New(rand.NewPCG(5, 6)), first: today - 400, newest: today - 400}
	for range 30 {
		l.ids = append(l.ids, uuid.New())
	}
	for round := range unlessRace(60, 15) {
		backfill(t, s, l.extend())
		fold(t, s)
		for range 5 {
			to := l.first + rollup.Day(l.random.IntN(int(l.newest-l.first)+40))
			if l.random.IntN(2) == 0 {
				to = rollup.OneWeek.Start(to) + 6
			}
			l.check(t, s, rollup.Range{To: to}.Last(1+l.random.IntN(100)))
		}
		l.check(t, s, rollup.Range{From: l.first, To: rollup.FourWeeks.Start(l.newest) + 27})
		if t.Failed() {
			t.Fatalf("failed in round %d", round)
		}
		for _, span := range rollup.Spans[1:] {
			for _, insert := range []string{
				"INSERT INTO rollup SELECT product, $1, $2, build, 99, 99, 0, 0 FROM rollup WHERE span = 1 AND day = $3 ON CONFLICT DO NOTHING",
				"INSERT INTO sketch SELECT product, $1, $2, build, data FROM sketch WHERE span = 1 AND day = $3 ON CONFLICT DO NOTHING",
			} {
				if _, err := raw.Exec(insert, int64(span), int64(span.Start(l.newest)), int64(l.newest)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	found := examine(t, name, longRetention)
	delete(found, "fold") // no server is running
	if text := problems(found); text != "" {
		t.Errorf("got problems %s, want none", text)
	}
}
