package fleet

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// Fleet describes a fleet of programs. Its instances start, report, and end. New
// versions are released, and instances adopt them after a delay. The zero value is a
// fleet of about 1,000 instances per day over 400 days.
type Fleet struct {
	Seed uint64
	// Days is the number of days with reports. The default is 400.
	Days int
	// End is the last day. The default is 2026-06-30.
	End rollup.Day
	// Instances is the approximate number of instances that report on the last day. The
	// default is 1,000.
	Instances int
	// Growth is the ratio of the instances on the last day to those on the first. The
	// default is 3.
	Growth float64
	// Every is the interval between two reports of a server, at least a second. The
	// default is an hour.
	Every time.Duration
	// Remember is the share of instances that remember the day of their last answer, as
	// installations do: a new instance often continues what an ended one remembers. Half of
	// the installations report no instance ID. The default is 0.
	Remember float64
	// Product describes the tags of the releases. By default they are semantic versions.
	Product catalog.Product
	// Published are the releases that instances run. By default they are generated, about
	// one a month.
	Published []catalog.Release
}

// Report is a report of an instance.
type Report struct {
	At     int64     // seconds since 1970-01-01 UTC
	ID     uuid.UUID // instance ID; zero if the instance reports none
	Number int64     // of the instance; instances are numbered from 0 in the order of their start
	Build  rollup.Build
	Heap   *int64 // bytes; nil if the report contains no heap size
	// Installation is the number of the installation, from 0, or -1 if it cannot remember.
	Installation int32
	Last         checker.Last
}

// Check counts the checks of a build on a day.
type Check struct {
	Day   rollup.Day
	Build rollup.Build
	Count int64
}

// Range returns the days with reports.
func (f Fleet) Range() rollup.Range {
	f = f.defaults()
	return rollup.Range{To: f.End}.Last(f.Days)
}

// Reports generates the reports in order of time. Its memory use is proportional to the
// number of instances that run at the same time.
func (f Fleet) Reports() iter.Seq[Report] {
	return func(yield func(Report) bool) {
		f := f.defaults()
		newSimulation(f).run(yield)
	}
}

// Checks generates the checks in order of time.
func (f Fleet) Checks() iter.Seq[Check] {
	return func(yield func(Check) bool) {
		f := f.defaults()
		for d, days := f.Range().From, f.Range(); days.Contains(d); d++ {
			random := rand.New(rand.NewPCG(f.Seed, uint64(d)))
			for _, c := range f.checksOn(d, random) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// checksOn generates the checks of a day, one for five instances.
func (f Fleet) checksOn(d rollup.Day, random *rand.Rand) (checks []Check) {
	sampler := newBuildSampler(f, random)
	index := map[rollup.Build]int{}
	for range poisson(random, float64(f.Instances)*f.relativeSize(d)/5) {
		b := sampler.build(d.Time().Unix())
		i, ok := index[b]
		if !ok {
			i = len(checks)
			index[b] = i
			checks = append(checks, Check{Day: d, Build: b})
		}
		checks[i].Count++
	}
	return checks
}

func (f Fleet) defaults() Fleet {
	f.Days = cmp.Or(f.Days, 400)
	f.End = cmp.Or(f.End, rollup.DayOf(time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC)))
	f.Instances = cmp.Or(f.Instances, 1000)
	f.Growth = cmp.Or(f.Growth, 3)
	f.Every = cmp.Or(f.Every, time.Hour)
	return f
}
