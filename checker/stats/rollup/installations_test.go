package rollup

import (
	"testing"

	"relcheck/checker"
)

// TestCountLast tests what a report adds, by the day of the last answer. 2026-11-23 is a Monday,
// and the first day of four weeks.
func TestCountLast(t *testing.T) {
	day := func(date string) checker.Last {
		l, err := checker.ParseLast(date)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	monday, err := ParseDay("2026-11-23")
	if err != nil || OneWeek.Start(monday) != monday {
		t.Fatalf("got %v (error %v), want a Monday", monday, err)
	}
	period := FourWeeks.Start(monday)
	for name, c := range map[string]struct {
		last checker.Last
		on   Day
		want Installations
	}{
		"nothing remembered":     {checker.CannotRemember, monday, Installations{}},
		"unusable":               {checker.UnusableLast, monday, Installations{}},
		"no answer yet":          {checker.NeverAnswered, monday, Installations{1, 1, 1, 1, 0, 0}},
		"same day":               {day("2026-11-23"), monday, Installations{}},
		"a day ahead":            {day("2026-11-24"), monday, Installations{}},
		"two days ahead":         {day("2026-11-25"), monday, Installations{}},
		"next day in the week":   {day("2026-11-24"), monday + 2, Installations{Daily: 1}},
		"Sunday to Monday":       {day("2026-11-22"), monday, Installations{Daily: 1, Weekly: 1, Monthly: oneIf(period == monday)}},
		"six days":               {day("2026-11-23"), monday + 6, Installations{Daily: 1}},
		"seven days":             {day("2026-11-23"), monday + 7, Installations{Daily: 1, Weekly: 1, Monthly: oneIf(period+28 == monday+7), Back7: 1}},
		"27 days in four weeks":  {checker.Last(period), period + 27, Installations{Daily: 1, Weekly: 1, Back7: 1}},
		"28 days":                {checker.Last(period), period + 28, Installations{1, 1, 1, 0, 1, 1}},
		"last day of four weeks": {checker.Last(period + 27), period + 28, Installations{Daily: 1, Weekly: 1, Monthly: 1}},
		"years":                  {1, monday, Installations{1, 1, 1, 0, 1, 1}},
	} {
		if got := CountLast(c.last, c.on); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

// TestReturning tests that the number of returning installations is never negative.
func TestReturning(t *testing.T) {
	n := Installations{Daily: 5, Weekly: 4, Monthly: 2, New: 3}
	for span, want := range map[Span]int64{OneDay: 2, OneWeek: 1, FourWeeks: 0} {
		if got := n.Returning(span); got != want {
			t.Errorf("span %d: got %d, want %d", span, got, want)
		}
	}
}
