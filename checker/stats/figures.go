package stats

import (
	"cmp"
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
	Heaps   Heaps // of the reports that told one
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

// Needed returns the periods whose rollups it takes for the [Sums] of a range,
// each once. Nothing is known before the first of known.
func Needed(r, known Range) (all []Period) {
	seen := map[Period]bool{}
	for _, window := range windows(r) {
		if window.To < known.From {
			continue
		}
		for _, p := range window.Cover() {
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

// Sums sums up builds over several days.
type Sums struct {
	covers [][]Period // of the windows
	tally  tally
}

// NewSums prepares to sum up a range.
func NewSums(r Range) *Sums {
	s := new(Sums)
	for _, window := range windows(r) {
		s.covers = append(s.covers, window.Cover())
	}
	return s
}

// Of fills in what is summed up over several days, from the rollups of those
// periods in [Needed] that have any.
func (s *Sums) Of(b *BuildFigures, rollups map[Period]*Rollup) {
	into := []*int64{nil, &b.Recent.Day, &b.Recent.DayBefore, &b.Recent.Week, &b.Recent.WeekBefore,
		&b.Recent.Month, &b.Recent.MonthBefore, &b.Recent.RangeBefore}
	for i, cover := range s.covers {
		var parts []*Rollup
		for _, p := range cover {
			if rollup := rollups[p]; rollup != nil {
				parts = append(parts, rollup)
			}
		}
		s.tally.reset()
		if i > 0 {
			*into[i] = s.tally.distinct(parts)
			continue
		}
		for _, part := range parts {
			b.Reports += part.Reports
			b.Heaps.Merge(part.Heaps)
		}
		b.Distinct = s.tally.byHeap(parts)
	}
}

// Sum is [Sums.Of] for one build.
func (b *BuildFigures) Sum(r Range, rollups map[Period]*Rollup) { NewSums(r).Of(b, rollups) }

// distinct counts the ids of some rollups.
func (t *tally) distinct(rollups []*Rollup) int64 {
	for _, r := range rollups {
		for _, h := range r.classes {
			t.add(h.ids)
		}
	}
	return t.count()
}

// byHeap counts the ids of some rollups, and those above each limit.
func (t *tally) byHeap(rollups []*Rollup) Distinct {
	d := Distinct{Exceed: make([]int64, len(heapLimits)+1)}
	left := make([]int, len(rollups)) // classes of each that are still to be added
	for i, r := range rollups {
		left[i] = len(r.classes)
	}
	for class := len(heapLimits) + 1; class >= 0 && len(rollups) > 0; class-- {
		for i, r := range rollups {
			if n := left[i]; n > 0 && r.classes[n-1].class == class {
				t.add(r.classes[n-1].ids)
				left[i]--
			}
		}
		d.IDs = max(d.IDs, t.count()) // an estimate of more may be of less
		if class > 0 {
			d.Exceed[class-1] = d.IDs
		}
	}
	return d
}

// AddChecks adds questions without an id to a day.
func (b *BuildFigures) AddChecks(d Day, n int64) {
	i, there := slices.BinarySearchFunc(b.Days, d, func(c Count, d Day) int { return cmp.Compare(c.Day, d) })
	if !there {
		b.Days = slices.Insert(b.Days, i, Count{Day: d})
	}
	b.Days[i].Checks += n
}
