package rollup

import (
	"fmt"
	"math"
	"time"
)

// Day is a day of UTC, counted from 1970-01-01.
type Day int64

// DayOf returns the day of a time.
func DayOf(t time.Time) Day { return dayOf(t.Unix()) }

func dayOf(seconds int64) Day {
	const day = 24 * 60 * 60
	if seconds < 0 {
		seconds -= day - 1
	}
	return Day(seconds / day)
}

// ParseDay reads a date such as 2026-01-31.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a date such as 2026-01-31", s)
	}
	return DayOf(t), nil
}

// Time returns the day's first moment.
func (d Day) Time() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

// String returns the date: 2026-01-31.
func (d Day) String() string { return d.Time().Format(time.DateOnly) }

// MaxDay is a day on which all periods are over.
const MaxDay Day = math.MaxInt64

// Range is some days, the first and the last among them.
type Range struct{ From, To Day }

// Days is how many they are.
func (r Range) Days() int { return max(0, int(r.To-r.From)+1) }

// Contains tells whether a day is among them.
func (r Range) Contains(d Day) bool { return r.From <= d && d <= r.To }

// Last returns the n days up to and with the last one.
func (r Range) Last(n int) Range { return Range{r.To - Day(n) + 1, r.To} }

// Previous returns as many days as r has, that end where it begins.
func (r Range) Previous() Range { return Range{r.From - Day(r.Days()), r.From - 1} }

// Span is how many days a rollup sums up.
type Span int64

// The spans there are. Weeks begin on Mondays, and four of them make a month of
// the same length as every other.
const (
	OneDay    Span = 1
	OneWeek   Span = 7
	FourWeeks Span = 28
)

// Spans are all of them, from the shortest up.
var Spans = [...]Span{OneDay, OneWeek, FourWeeks}

// Start returns the first day of the span that d lies in.
func (s Span) Start(d Day) Day {
	const monday = 4 // 1970-01-05
	into := (d - monday) % Day(s)
	if into < 0 {
		into += Day(s)
	}
	return d - into
}

// Period is one span: a certain day, week, or four weeks.
type Period struct {
	Span Span
	Day  Day // its first
}

// Range is the days of the period.
func (p Period) Range() Range { return Range{p.Day, p.Day + Day(p.Span) - 1} }

// Ended tells whether the period had ended on a day. Only those have rollups that are
// longer than a day: what would be written anew with each report is summed up once.
func (p Period) Ended(on Day) bool { return p.Range().To < on }

// Periods returns those that lie wholly in the range and have a span, in order.
func (r Range) Periods(s Span) (all []Period) {
	first := s.Start(r.From)
	if first < r.From {
		first += Day(s)
	}
	for d := first; d+Day(s)-1 <= r.To; d += Day(s) {
		all = append(all, Period{s, d})
	}
	return all
}

// Cover returns the fewest periods that together are the range, in order, of those
// that have rollups when it is some day: single days, and longer ones that are over.
func (r Range) Cover(on Day) (all []Period) {
	for d := r.From; d <= r.To; {
		p := Period{OneDay, d}
		for _, s := range Spans {
			if longer := (Period{s, d}); s.Start(d) == d && longer.Range().To <= r.To && longer.Ended(on) {
				p = longer
			}
		}
		all = append(all, p)
		d += Day(p.Span)
	}
	return all
}
