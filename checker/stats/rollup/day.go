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

// ParseDay parses a date such as 2026-01-31.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a date such as 2026-01-31", s)
	}
	return DayOf(t), nil
}

// Time returns the start of the day.
func (d Day) Time() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

// String returns the date: 2026-01-31.
func (d Day) String() string { return d.Time().Format(time.DateOnly) }

// MaxDay is a day on which all periods have ended.
const MaxDay Day = math.MaxInt64

// Range is a range of days, inclusive. It is empty if From is after To.
type Range struct{ From, To Day }

// Days returns the number of days.
func (r Range) Days() int { return max(0, int(r.To-r.From)+1) }

// Contains reports whether a day is in the range.
func (r Range) Contains(d Day) bool { return r.From <= d && d <= r.To }

// Last returns the last n days, which may begin before the range.
func (r Range) Last(n int) Range { return Range{r.To - Day(n) + 1, r.To} }

// Previous returns the range of the same length that ends the day before r.
func (r Range) Previous() Range { return Range{r.From - Day(r.Days()), r.From - 1} }

// Span is the number of days that a rollup covers.
type Span int64

// All spans. Weeks begin on Mondays. Four weeks replace months, because they all have the
// same length.
const (
	OneDay    Span = 1
	OneWeek   Span = 7
	FourWeeks Span = 28
)

// Spans are all spans, the shortest first.
var Spans = [...]Span{OneDay, OneWeek, FourWeeks}

// Start returns the first day of the period with d.
func (s Span) Start(d Day) Day {
	const monday = 4 // 1970-01-05
	into := (d - monday) % Day(s)
	if into < 0 {
		into += Day(s)
	}
	return d - into
}

// Period is a certain day, week, or four weeks.
type Period struct {
	Span Span
	Day  Day // first day
}

// Range returns the days of the period.
func (p Period) Range() Range { return Range{p.Day, p.Day + Day(p.Span) - 1} }

// Ended reports whether the period is over on a day. Rollups of more than a day are written
// once, when their period has ended, and not with each report.
func (p Period) Ended(on Day) bool { return p.Range().To < on }

// Periods returns the periods of a span that are wholly within the range, in order.
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

// WithFinished returns the range, extended so that it includes the last period of a span
// that is over on its last day.
func (r Range) WithFinished(s Span) Range { return Range{min(r.From, s.Start(r.To)-Day(s)), r.To} }

// WithInstallations returns the range, extended so that it includes the last four weeks that
// are over on its last day, and the four weeks before them.
func (r Range) WithInstallations() Range {
	return Range{min(r.From, FourWeeks.Start(r.To)-2*Day(FourWeeks)), r.To}
}

// Cover returns the fewest periods with rollups that together are the range, in order. On a
// day, these are single days, and longer periods that have ended.
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
