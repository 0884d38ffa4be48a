package stats

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"relcheck/checker"
)

// MaxUnpublished is how many builds a day and product may have of versions that
// are no release of it. What is beyond has the version [Other].
const MaxUnpublished = 100

// Build is what reports are counted under.
type Build struct {
	Version string // as it was reported, or "other"
	checker.Platform
}

// Figures are what a store knows of a product in a range of days. An id has one
// build, so that distinct ids of several builds may be added up.
type Figures struct {
	Range  Range
	Known  Range     // the days that anything is known of; its From is after its To when there are none
	AsOf   time.Time // when the last report came in that is among them; zero when there is none
	Builds []BuildFigures
}

// BuildFigures are those of one build.
type BuildFigures struct {
	Build
	Days   []Count // of the days that have any, in order
	Weeks  []Count // of the weeks in the range, from Monday to Sunday
	Months []Count // of the four weeks in the range
	// What follows is of the whole range.
	Reports int64
	Heaps   Heaps // instance-days: see [Rollup.Heaps]
	Distinct
	Recent Recent
}

// Distinct are the distinct ids in a range of days.
type Distinct struct {
	IDs int64
	// Exceed is how many of them ever exceeded as many of the [HeapLimits] as the
	// index says, or more: at 0 those that told a heap.
	Exceed []int64
}

// Counts returns where those of a span are.
func (b *BuildFigures) Counts(s Span) *[]Count {
	switch s {
	case OneDay:
		return &b.Days
	case OneWeek:
		return &b.Weeks
	default:
		return &b.Months
	}
}

// Count is how much one build was heard of in one period.
type Count struct {
	Day     Day // the first of the period
	Reports int64
	IDs     int64 // distinct in the period
	Checks  int64 // questions without an id; of days only
	Starts        // of days only
}

// Recent is how many distinct ids there were in the last days of a range, and in
// as many days before those.
type Recent struct {
	Day, DayBefore     int64
	Week, WeekBefore   int64
	Month, MonthBefore int64
	RangeBefore        int64 // in the days before the range, as many as it has
}

// Total is how many distinct ids there were in the range.
func (f *Figures) Total() (ids int64) {
	for i := range f.Builds {
		ids += f.Builds[i].IDs
	}
	return ids
}

// Needed returns the periods whose rollups it takes for the [Sums] of a range when
// it is some day, each once. Nothing is known before the first of known.
func Needed(r, known Range, on Day) (all []Period) {
	seen := map[Period]bool{}
	for _, window := range windows(r) {
		if window.To < known.From {
			continue
		}
		for _, p := range window.Cover(on) {
			if !seen[p] {
				seen[p] = true
				all = append(all, p)
			}
		}
	}
	return all
}

// windows are the days that are summed up for a range: itself, and those of Recent.
func windows(r Range) []Range {
	day, week, month := r.Last(1), r.Last(7), r.Last(28)
	return []Range{r, day, day.Before(), week, week.Before(), month, month.Before(), r.Before()}
}

// Sums sums up builds over several days. One is for one goroutine.
type Sums struct {
	on     Day
	places map[Period]int // of all periods that are summed up
	covers [][]int        // of the windows, by the places of their periods
	opened []packed       // the rollups of a build, by place
	tally  tally
}

// Written is a rollup in the form of [Rollup.AppendBinary].
type Written struct {
	Period
	Form []byte
}

// NewSums prepares to sum up a range when it is some day.
func NewSums(r Range, on Day) *Sums {
	s := &Sums{on: on, places: map[Period]int{}}
	for _, window := range windows(r) {
		var cover []int
		for _, p := range window.Cover(on) {
			if _, known := s.places[p]; !known {
				s.places[p] = len(s.places)
			}
			cover = append(cover, s.places[p])
		}
		s.covers = append(s.covers, cover)
	}
	s.opened = make([]packed, len(s.places))
	return s
}

// Of fills in what is summed up over several days, from the rollups of those
// periods in [Needed] that have any.
func (s *Sums) Of(b *BuildFigures, rollups []Written) error {
	if err := s.open(rollups); err != nil {
		return err
	}
	into := []*int64{nil, &b.Recent.Day, &b.Recent.DayBefore, &b.Recent.Week, &b.Recent.WeekBefore,
		&b.Recent.Month, &b.Recent.MonthBefore, &b.Recent.RangeBefore}
	var parts []*packed
	for i, cover := range s.covers {
		parts = parts[:0]
		for _, place := range cover {
			if p := &s.opened[place]; p.there {
				parts = append(parts, p)
			}
		}
		s.tally.reset()
		var err error
		if i == 0 {
			err = s.whole(b, parts)
		} else {
			*into[i], err = s.tally.distinct(parts)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Count counts a period of the range that is not over, from the rollups of a build
// that [Sums.Of] takes.
func (s *Sums) Count(p Period, rollups []Written) (c Count, err error) {
	if err := s.open(rollups); err != nil {
		return c, err
	}
	c.Day = p.Day
	var parts []*packed
	for _, part := range p.Range().Cover(s.on) {
		if p := &s.opened[s.places[part]]; p.there {
			parts = append(parts, p)
			c.Reports += p.reports
		}
	}
	s.tally.reset()
	c.IDs, err = s.tally.distinct(parts)
	return c, err
}

// open finds the parts of some rollups.
func (s *Sums) open(rollups []Written) error {
	for i := range s.opened {
		s.opened[i].there = false
	}
	for _, one := range rollups {
		place, asked := s.places[one.Period]
		if !asked {
			continue
		}
		if err := s.opened[place].open(one.Form); err != nil {
			return fmt.Errorf("from %s on: %w", one.Day, err)
		}
	}
	return nil
}

// whole sums up the whole range.
func (s *Sums) whole(b *BuildFigures, parts []*packed) (err error) {
	for _, part := range parts {
		b.Reports += part.reports
		if err := part.addHeaps(&b.Heaps, &s.tally); err != nil {
			return err
		}
	}
	s.tally.reset()
	b.Distinct, err = s.tally.byHeap(parts)
	return err
}

// Sum is [Sums.Of] for one build, from rollups that were not written yet.
func (b *BuildFigures) Sum(r Range, rollups map[Period]*Rollup) {
	var written []Written
	for p, rollup := range rollups {
		form, err := rollup.AppendBinary(nil)
		if err != nil {
			panic(err) // no rollup is refused
		}
		written = append(written, Written{p, form})
	}
	if err := NewSums(r, Ever).Of(b, written); err != nil {
		panic(err) // they were written just now
	}
}

// distinct counts the ids of some rollups.
func (t *tally) distinct(rollups []*packed) (int64, error) {
	for _, r := range rollups {
		for _, c := range r.classes {
			if err := t.addForm(c.form); err != nil {
				return 0, err
			}
		}
	}
	return t.count(), nil
}

// byHeap counts the ids of some rollups, and those above each limit.
func (t *tally) byHeap(rollups []*packed) (Distinct, error) {
	d := Distinct{Exceed: make([]int64, len(heapLimits)+1)}
	left := make([]int, len(rollups)) // classes of each that are still to be added
	for i, r := range rollups {
		left[i] = len(r.classes)
	}
	for class := len(heapLimits) + 1; class >= 0 && len(rollups) > 0; class-- {
		for i, r := range rollups {
			if n := left[i]; n > 0 && r.classes[n-1].class == class {
				if err := t.addForm(r.classes[n-1].form); err != nil {
					return d, err
				}
				left[i]--
			}
		}
		d.IDs = max(d.IDs, t.count()) // an estimate of more may be of less
		if class > 0 {
			d.Exceed[class-1] = d.IDs
		}
	}
	return d, nil
}

// AddChecks adds questions without an id to a day.
func (b *BuildFigures) AddChecks(d Day, n int64) {
	i, there := slices.BinarySearchFunc(b.Days, d, func(c Count, d Day) int { return cmp.Compare(c.Day, d) })
	if !there {
		b.Days = slices.Insert(b.Days, i, Count{Day: d})
	}
	b.Days[i].Checks += n
}
