package rollup_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"relcheck/checker/stats/rollup"
)

// A range is covered by periods that neither overlap nor leave a day out.
func TestCover(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rollup.Day(rapid.Int64Range(-1000, 40_000).Draw(t, "from"))
		r := rollup.Range{From: from, To: from + rollup.Day(rapid.Int64Range(-1, 4000).Draw(t, "days"))}
		on := r.To + rollup.Day(rapid.Int64Range(-60, 60).Draw(t, "on"))
		next, short := r.From, 0
		for _, p := range r.Cover(on) {
			if p.Day != next || p.Span.Start(p.Day) != p.Day || p.Span != rollup.OneDay && p.Range().To >= on {
				t.Fatalf("%v after day %d", p, next)
			}
			next = p.Range().To + 1
			if p.Span != rollup.FourWeeks && next <= on {
				short++
			}
		}
		if next != r.To+1 {
			t.Errorf("%v ends on day %d", r, next-1)
		}
		if short > 2*(3+6) {
			t.Errorf("on day %d, %v is covered by %d days and weeks that are over", on, r, short)
		}
	})
}

func TestWeeksBeginOnMondays(t *testing.T) {
	for _, s := range []rollup.Span{rollup.OneWeek, rollup.FourWeeks} {
		for d := rollup.Day(-100); d < 100; d++ {
			start := s.Start(d)
			if start.Time().Weekday() != time.Monday || d < start || d >= start+rollup.Day(s) {
				t.Errorf("%s is in %d days from %s on", d, s, start)
			}
		}
	}
}

func TestDays(t *testing.T) {
	for text, want := range map[string]rollup.Day{"1970-01-01": 0, "1969-12-31": -1, "2026-11-22": 20779} {
		if d, err := rollup.ParseDay(text); err != nil || d != want || d.String() != text {
			t.Errorf("%s is day %d (%s), %v", text, d, d, err)
		}
	}
	if d := rollup.DayOf(time.Date(2026, 11, 22, 23, 30, 0, 0, time.FixedZone("", -3600))); d != 20780 {
		t.Errorf("the day of UTC is %d", d)
	}
}
