package rollup

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"relcheck/checker"
)

// MaxUnreleasedBuilds is how many builds a day and product may have of versions that
// are no release of it. What is beyond has the version [Other].
const MaxUnreleasedBuilds = 100

// Other stands for what is no semantic version, and for all that is not told
// apart.
const Other = "other"

// Build is what reports are counted under.
type Build struct {
	Version string // as it was reported, or "other"
	checker.Platform
}

// Totals are what a store knows of a product in a range of days. An id has one
// build, so that distinct ids of several builds may be added up.
type Totals struct {
	Range  Range
	Known  Range     // the days that anything is known of; its From is after its To when there are none
	AsOf   time.Time // when the last report came in that is among them; zero when there is none
	Builds []BuildTotals
}

// BuildTotals are those of one build.
type BuildTotals struct {
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
	Instances int64
	// Exceed is how many of them ever exceeded as many of the [HeapLimits] as the
	// index says, or more: at 0 those that told a heap.
	Exceed []int64
}

// Counts returns where those of a span are.
func (b *BuildTotals) Counts(s Span) *[]Count {
	switch s {
	case OneDay:
		return &b.Days
	case OneWeek:
		return &b.Weeks
	default:
		return &b.Months
	}
}

// CountPeriod is how much one build was heard of in one period.
type Count struct {
	Day       Day // the first of the period
	Reports   int64
	Instances int64 // distinct in the period
	Checks    int64 // questions without an id; of days only
	Starts          // of days only
}

// Recent is how many distinct ids there were in the last days of a range, and in
// as many days before those.
type Recent struct {
	Day, DayBefore     int64
	Week, WeekBefore   int64
	Month, MonthBefore int64
	RangeBefore        int64 // in the days before the range, as many as it has
}

// Instances is how many distinct ids there were in the range.
func (f *Totals) Instances() (ids int64) {
	for i := range f.Builds {
		ids += f.Builds[i].Instances
	}
	return ids
}

// NeededPeriods returns the periods whose rollups it takes for the [Merger] of a range when
// it is some day, each once. Nothing is known before the first of known.
func NeededPeriods(r, known Range, on Day) (all []Period) {
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
	return []Range{r, day, day.Previous(), week, week.Previous(), month, month.Previous(), r.Previous()}
}

// Merger sums up builds over several days. One is for one goroutine.
type Merger struct {
	on      Day
	indexes map[Period]int // of all periods that are summed up
	covers  [][]int        // of the windows, by the places of their periods
	parsed  []parsedRollup // the rollups of a build, by place
	counter distinctCounter
}

// Encoded is a rollup in the form of [Rollup.AppendBinary].
type Encoded struct {
	Period
	Data []byte
}

// NewMerger prepares to sum up a range when it is some day.
func NewMerger(r Range, on Day) *Merger {
	s := &Merger{on: on, indexes: map[Period]int{}}
	for _, window := range windows(r) {
		var cover []int
		for _, p := range window.Cover(on) {
			if _, known := s.indexes[p]; !known {
				s.indexes[p] = len(s.indexes)
			}
			cover = append(cover, s.indexes[p])
		}
		s.covers = append(s.covers, cover)
	}
	s.parsed = make([]parsedRollup, len(s.indexes))
	return s
}

// MergeInto fills in what is summed up over several days, from the rollups of those
// periods in [NeededPeriods] that have any.
func (s *Merger) MergeInto(b *BuildTotals, rollups []Encoded) error {
	if err := s.parse(rollups); err != nil {
		return err
	}
	into := []*int64{nil, &b.Recent.Day, &b.Recent.DayBefore, &b.Recent.Week, &b.Recent.WeekBefore,
		&b.Recent.Month, &b.Recent.MonthBefore, &b.Recent.RangeBefore}
	var parts []*parsedRollup
	for i, cover := range s.covers {
		parts = parts[:0]
		for _, place := range cover {
			if p := &s.parsed[place]; p.present {
				parts = append(parts, p)
			}
		}
		s.counter.reset()
		var err error
		if i == 0 {
			err = s.mergeRange(b, parts)
		} else {
			*into[i], err = s.counter.countAll(parts)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CountPeriod counts a period of the range that is not over, from the rollups of a build
// that [Sums.MergeInto] takes.
func (s *Merger) CountPeriod(p Period, rollups []Encoded) (c Count, err error) {
	if err := s.parse(rollups); err != nil {
		return c, err
	}
	c.Day = p.Day
	var parts []*parsedRollup
	for _, part := range p.Range().Cover(s.on) {
		if p := &s.parsed[s.indexes[part]]; p.present {
			parts = append(parts, p)
			c.Reports += p.reports
		}
	}
	s.counter.reset()
	c.Instances, err = s.counter.countAll(parts)
	return c, err
}

// parse finds the parts of some rollups.
func (s *Merger) parse(rollups []Encoded) error {
	for i := range s.parsed {
		s.parsed[i].present = false
	}
	for _, one := range rollups {
		place, asked := s.indexes[one.Period]
		if !asked {
			continue
		}
		if err := s.parsed[place].parse(one.Data); err != nil {
			return fmt.Errorf("from %s on: %w", one.Day, err)
		}
	}
	return nil
}

// mergeRange sums up the whole range.
func (s *Merger) mergeRange(b *BuildTotals, parts []*parsedRollup) (err error) {
	for _, part := range parts {
		b.Reports += part.reports
		if err := part.addHeaps(&b.Heaps, &s.counter); err != nil {
			return err
		}
	}
	s.counter.reset()
	b.Distinct, err = s.counter.countByHeap(parts)
	return err
}

// AddPart is [Sums.MergeInto] for one build, from rollups that were not written yet.
func (b *BuildTotals) Sum(r Range, rollups map[Period]*Rollup) {
	var written []Encoded
	for p, rollup := range rollups {
		form, err := rollup.AppendBinary(nil)
		if err != nil {
			panic(err) // no rollup is refused
		}
		written = append(written, Encoded{p, form})
	}
	if err := NewMerger(r, MaxDay).MergeInto(b, written); err != nil {
		panic(err) // they were written just now
	}
}

// countAll counts the ids of some rollups.
func (t *distinctCounter) countAll(rollups []*parsedRollup) (int64, error) {
	for _, r := range rollups {
		for _, c := range r.classes {
			if err := t.addEncoded(c.data); err != nil {
				return 0, err
			}
		}
	}
	return t.count(), nil
}

// countByHeap counts the ids of some rollups, and those above each limit.
func (t *distinctCounter) countByHeap(rollups []*parsedRollup) (Distinct, error) {
	d := Distinct{Exceed: make([]int64, len(heapLimits)+1)}
	left := make([]int, len(rollups)) // classes of each that are still to be added
	for i, r := range rollups {
		left[i] = len(r.classes)
	}
	for class := len(heapLimits) + 1; class >= 0 && len(rollups) > 0; class-- {
		for i, r := range rollups {
			if n := left[i]; n > 0 && r.classes[n-1].class == class {
				if err := t.addEncoded(r.classes[n-1].data); err != nil {
					return d, err
				}
				left[i]--
			}
		}
		d.Instances = max(d.Instances, t.count()) // an estimate of more may be of less
		if class > 0 {
			d.Exceed[class-1] = d.Instances
		}
	}
	return d, nil
}

// AddChecks adds questions without an id to a day.
func (b *BuildTotals) AddChecks(d Day, n int64) {
	i, there := slices.BinarySearchFunc(b.Days, d, func(c Count, d Day) int { return cmp.Compare(c.Day, d) })
	if !there {
		b.Days = slices.Insert(b.Days, i, Count{Day: d})
	}
	b.Days[i].Checks += n
}
