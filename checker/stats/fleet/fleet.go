package fleet

import (
	"iter"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats"
)

// Fleet describes a fleet. Programs start, report, and end; new versions come
// out and are taken up, by some at once and by others very late. The zero value
// is a fleet of about 1,000 ids a day over 400 days.
type Fleet struct {
	Seed uint64
	// Days is how many days there are reports of. The default is 400.
	Days int
	// End is the last of them. The default is 2026-06-30.
	End stats.Day
	// Instances is about how many ids report on the last day. The default is 1,000.
	Instances int
	// Growth is how many times as many they are on the last day as on the first.
	// The default is 3.
	Growth float64
	// Every is how long a server waits between two reports, at least a second.
	// The default is an hour.
	Every time.Duration
	// Published are the releases that are run. By default some are made up, about
	// one a month.
	Published []checker.Release
}

// Report is what one process tells, once.
type Report struct {
	At     int64 // seconds since 1970-01-01 UTC
	ID     uuid.UUID
	Number int64 // of the id, in the order in which ids were given out, from 0 up
	Build  stats.Build
	Heap   *int64 // bytes, or nil
}

// Check is how often a build asked without an id, on a day.
type Check struct {
	Day   stats.Day
	Build stats.Build
	Count int64
}

// Range returns the days that there are reports of.
func (f Fleet) Range() stats.Range {
	f = f.defaults()
	return stats.Range{To: f.End}.Last(f.Days)
}

// Reports makes the reports, in order of time. It takes memory for the instances
// that live at a time.
func (f Fleet) Reports() iter.Seq[Report] {
	return func(yield func(Report) bool) {
		f := f.defaults()
		newWheel(f).run(yield)
	}
}

// Checks makes the questions without an id, in order of time.
func (f Fleet) Checks() iter.Seq[Check] {
	return func(yield func(Check) bool) {
		f := f.defaults()
		for d, days := f.Range().From, f.Range(); days.Has(d); d++ {
			random := rand.New(rand.NewPCG(f.Seed, uint64(d)))
			for _, c := range f.checksOf(d, random) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// checksOf makes those of a day, one in five as many as instances.
func (f Fleet) checksOf(d stats.Day, random *rand.Rand) (all []Check) {
	market := newMarket(f, random)
	at := map[stats.Build]int{}
	for range poisson(random, float64(f.Instances)*f.scale(d)/5) {
		b := market.build(d.Time().Unix())
		i, ok := at[b]
		if !ok {
			i = len(all)
			at[b] = i
			all = append(all, Check{Day: d, Build: b})
		}
		all[i].Count++
	}
	return all
}

func (f Fleet) defaults() Fleet {
	if f.Days <= 0 {
		f.Days = 400
	}
	if f.End == 0 {
		f.End = stats.DayOf(time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC))
	}
	if f.Instances <= 0 {
		f.Instances = 1000
	}
	if f.Growth <= 0 {
		f.Growth = 3
	}
	if f.Every < time.Second {
		f.Every = time.Hour
	}
	return f
}
