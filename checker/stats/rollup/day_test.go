package rollup_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"relcheck/checker/stats/rollup"
)

// TestCover checks that periods cover a range without gaps and overlaps.
func TestCover(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rollup.Day(rapid.Int64Range(-1000, 40_000).Draw(t, "from"))
		r := rollup.Range{From: from, To: from + rollup.Day(rapid.Int64Range(-1, 4000).Draw(t, "days"))}
		on := r.To + rollup.Day(rapid.Int64Range(-60, 60).Draw(t, "on"))
		next, short := r.From, 0
		for _, p := range r.Cover(on) {
			if p.Day != next || p.Span.Start(p.Day) != p.Day || p.Span != rollup.OneDay && p.Range().To >= on {
				t.Fatalf("got %v, want a period from day %d", p, next)
			}
			next = p.Range().To + 1
			if p.Span != rollup.FourWeeks && next <= on {
				short++
			}
		}
		if next != r.To+1 {
			t.Errorf("%v: got last day %d, want %d", r, next-1, r.To)
		}
		if short > 2*(3+6) {
			t.Errorf("%v on day %d: got %d days and weeks that have ended, want at most 18", r, on, short)
		}
	})
}

func TestWeeksBeginOnMondays(t *testing.T) {
	for _, s := range []rollup.Span{rollup.OneWeek, rollup.FourWeeks} {
		for d := rollup.Day(-100); d < 100; d++ {
			start := s.Start(d)
			if start.Time().Weekday() != time.Monday || d < start || d >= start+rollup.Day(s) {
				t.Errorf("%d days with %s: got start %s", s, d, start)
			}
		}
	}
}

func TestDays(t *testing.T) {
	for text, want := range map[string]rollup.Day{"1970-01-01": 0, "1969-12-31": -1, "2026-11-22": 20779} {
		if d, err := rollup.ParseDay(text); err != nil || d != want || d.String() != text {
			t.Errorf("%s: got day %d (%s), %v, want %d", text, d, d, err, want)
		}
	}
	if d := rollup.DayOf(time.Date(2026, 11, 22, 23, 30, 0, 0, time.FixedZone("", -3600))); d != 20780 {
		t.Errorf("got day %d, want 20780 in UTC", d)
	}
}
