package stats

import (
	"cmp"
	"slices"
	"time"

	"relcheck/checker"
)

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
	Total  Rollup  // of the whole range
	Recent Recent
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
		ids += f.Builds[i].Total.IDs()
	}
	return ids
}

// Needed returns the periods whose rollups it takes to [BuildFigures.Sum] up a
// range, each once. Nothing is known before the first of known.
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

// Sum fills in what is summed up over several days, from the rollups of those
// periods in [Needed] that have any.
func (b *BuildFigures) Sum(r Range, rollups map[Period]*Rollup) {
	into := []*int64{nil, &b.Recent.Day, &b.Recent.DayBefore, &b.Recent.Week, &b.Recent.WeekBefore,
		&b.Recent.Month, &b.Recent.MonthBefore, &b.Recent.RangeBefore}
	for i, window := range windows(r) {
		var parts []*Rollup
		for _, p := range window.Cover() {
			if rollup := rollups[p]; rollup != nil {
				parts = append(parts, rollup)
			}
		}
		if i > 0 {
			*into[i] = distinct(parts)
		} else {
			b.Total = addUp(parts)
		}
	}
}

// AddChecks adds questions without an id to a day.
func (b *BuildFigures) AddChecks(d Day, n int64) {
	i, there := slices.BinarySearchFunc(b.Days, d, func(c Count, d Day) int { return cmp.Compare(c.Day, d) })
	if !there {
		b.Days = slices.Insert(b.Days, i, Count{Day: d})
	}
	b.Days[i].Checks += n
}
