package statstest

import (
	"cmp"

	"github.com/google/uuid"

	"relcheck/checker/catalog"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
)

// Log contains all reports and checks of a fleet, for [Log.NewTruth] and [Log.Fold].
type Log struct {
	catalog.Listing
	Known rollup.Range // the days with reports or checks

	checks           []fleet.Check
	builds           []rollup.Build
	instances        []loggedInstance // by instance number
	reports          []loggedReport
	activeDays       []activeDay
	starts           []start
	maybeRestarts    []start // restarts that a store may count or not, see minSilence
	installationDays []installationDay
	lastDays         []rollup.Day    // by installation: its last day
	instanceNumbers  map[int64]int32 // by number in the fleet
	buildNumbers     map[rollup.Build]int32
}

// loggedInstance is the state of an instance while its reports are added.
type loggedInstance struct {
	id          uuid.UUID // zero if it reports none
	remembers   bool      // it belongs to an installation, which is counted instead
	build       int32
	first, last int64      // times of its first and last report since its latest start
	day         rollup.Day // of its last report
}

// loggedReport is a report. If heap is negative, the report contains no heap size.
type loggedReport struct {
	at, heap int64
	instance int32
	first    bool // of its installation on its day
}

// installationDay is a day on which an installation reported.
type installationDay struct {
	day      rollup.Day
	build    int32      // of its first report of the day
	previous rollup.Day // on which it reported, or 0
}

// activeDay is a day on which an instance reported.
type activeDay struct {
	day      rollup.Day
	instance int32
}

const secondsPerHour = 60 * 60

// dayOf returns the day of a time in seconds since 1970-01-01 UTC.
func dayOf(at int64) rollup.Day { return rollup.Day(at / (24 * secondsPerHour)) }

// minSilence is the shortest time, in seconds, between two reports of an instance that a
// store may take for a restart. It is 12 hours less than the exact limit of 48 hours
// because a store knows the time of the last report only to within 12 hours.
const minSilence = 36 * secondsPerHour

// start is a start of an instance.
type start struct {
	day      rollup.Day
	instance int32
	again    bool // the instance reported more than once
}

// NewLog generates all reports and checks of a fleet. It keeps them in memory: about 30
// bytes each.
func NewLog(f fleet.Fleet) *Log {
	l := &Log{Listing: listing(f), Known: f.Range(), instanceNumbers: map[int64]int32{}, buildNumbers: map[rollup.Build]int32{}}
	for r := range f.Reports() {
		l.add(r)
	}
	for c := range f.Checks() {
		l.checks = append(l.checks, c)
	}
	for number, in := range l.instances {
		if !in.remembers {
			l.addStart(int32(number))
		}
	}
	return l
}

// listing returns a product with the fleet's releases.
func listing(f fleet.Fleet) catalog.Listing {
	l := catalog.Listing{Product: f.Product, Releases: f.Releases()}
	l.Name, l.Title = cmp.Or(l.Name, "opa"), cmp.Or(l.Title, "Open Policy Agent")
	return l
}

// add adds a report. Reports must be added in order of time.
func (l *Log) add(r fleet.Report) {
	number, known := l.instanceNumbers[r.Number]
	if !known {
		number = int32(len(l.instances))
		l.instanceNumbers[r.Number] = number
		l.instances = append(l.instances, loggedInstance{id: r.ID, remembers: r.Installation >= 0, build: l.buildNumber(r.Build), first: r.At, last: r.At, day: -1})
	}
	heap := int64(-1)
	if r.Heap != nil {
		heap = *r.Heap
	}
	if r.Installation >= 0 {
		l.reports = append(l.reports, loggedReport{r.At, heap, number, l.addInstallation(r, l.instances[number].build)})
		return
	}
	in := &l.instances[number]
	switch silence := r.At - in.last; {
	case silence > 48*secondsPerHour:
		l.addStart(number)
		in.first = r.At
	case silence > minSilence && in.last-in.first >= 60:
		l.maybeRestarts = append(l.maybeRestarts, start{day: dayOf(r.At), instance: number})
	}
	in.last = r.At
	if d := dayOf(r.At); d != in.day {
		in.day = d
		l.activeDays = append(l.activeDays, activeDay{d, number})
	}
	l.reports = append(l.reports, loggedReport{r.At, heap, number, false})
}

// addInstallation adds the day of an installation, and reports whether the report is its
// first one on that day.
func (l *Log) addInstallation(r fleet.Report, build int32) (first bool) {
	for len(l.lastDays) <= int(r.Installation) {
		l.lastDays = append(l.lastDays, 0)
	}
	last, day := &l.lastDays[r.Installation], dayOf(r.At)
	if *last == day {
		return false
	}
	l.installationDays = append(l.installationDays, installationDay{day, build, *last})
	*last = day
	return true
}

// remembered returns the days with installations.
func (l *Log) remembered() rollup.Range {
	if len(l.installationDays) == 0 {
		return rollup.Range{From: 1, To: 0}
	}
	return rollup.Range{From: l.installationDays[0].day, To: l.installationDays[len(l.installationDays)-1].day}
}

// addStart adds the latest start of an instance, once the instance has ended.
func (l *Log) addStart(number int32) {
	in := l.instances[number]
	l.starts = append(l.starts, start{dayOf(in.first), number, in.last-in.first >= 60})
}

// buildNumber returns the number of a build, which it assigns at the first call.
func (l *Log) buildNumber(b rollup.Build) int32 {
	n, known := l.buildNumbers[b]
	if !known {
		n = int32(len(l.builds))
		l.buildNumbers[b] = n
		l.builds = append(l.builds, b)
	}
	return n
}
