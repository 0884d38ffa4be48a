package rollup

import "relcheck/checker"

// Installations counts installations: places in which a program is installed and remembers
// the day of its last answer. Numbers of several builds, days, servers and sites can be
// added up, because an installation adds at most 1 to each field in the period that the
// field is about.
type Installations struct {
	Daily   int64 // first report of the day
	Weekly  int64 // first report of the week, see [OneWeek]
	Monthly int64 // first report of the four weeks, see [FourWeeks]
	New     int64 // first report ever
	Back7   int64 // first report after at least 7 days
	Back28  int64 // first report after at least 28 days
}

// CountLast returns what a report adds to the counts of its day.
func CountLast(last checker.Last, day Day) (n Installations) {
	if last == checker.NeverAnswered {
		return Installations{Daily: 1, Weekly: 1, Monthly: 1, New: 1}
	}
	// A day ahead is one of a server whose clock was past midnight already.
	if d := Day(last); last.Known() && d < day {
		n.Daily = 1
		n.Weekly = oneIf(d < OneWeek.Start(day))
		n.Monthly = oneIf(d < FourWeeks.Start(day))
		n.Back7 = oneIf(day-d >= 7)
		n.Back28 = oneIf(day-d >= 28)
	}
	return n
}

// Remembers reports whether a report of a day comes from an installation that remembers its
// last answer.
func Remembers(last checker.Last, day Day) bool {
	return last == checker.NeverAnswered || last.Known() && Day(last) <= day+1
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Add adds other counts.
func (n *Installations) Add(other Installations) {
	n.Daily += other.Daily
	n.Weekly += other.Weekly
	n.Monthly += other.Monthly
	n.New += other.New
	n.Back7 += other.Back7
	n.Back28 += other.Back28
}

// Possible reports whether installations of a build on a day can have these counts. A report
// that is back after four weeks, for example, is also the first of its four weeks.
func (n Installations) Possible() bool {
	return n.New >= 0 && n.Back28 >= 0 && n.Back28 <= n.Back7 && n.New+n.Back28 <= n.Monthly && n.New+n.Back7 <= n.Weekly && n.Monthly <= n.Weekly && n.Weekly <= n.Daily
}

// IsZero reports whether nothing is counted.
func (n Installations) IsZero() bool { return n == Installations{} }

// Returning returns how many of the installations in a period of a span had an answer before
// it.
func (n Installations) Returning(s Span) int64 { return max(0, n.In(s)-n.New) }

// In returns the number of installations in a period of a span that the counts add up to.
func (n Installations) In(s Span) int64 {
	switch s {
	case OneDay:
		return n.Daily
	case OneWeek:
		return n.Weekly
	default:
		return n.Monthly
	}
}
