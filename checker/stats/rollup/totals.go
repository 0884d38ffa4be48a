package rollup

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"relcheck/checker"
)

// MaxUnreleasedBuilds is the maximum number of builds of unreleased versions per day and
// product. Any more have the version [Other].
const MaxUnreleasedBuilds = 100

// Other is the version of builds that are not counted separately, and the name of their row
// in tables.
const Other = "other"

// Build is a version on a platform. Reports are counted by build.
type Build struct {
	Version string // as reported, or [Other]
	checker.Platform
}

// Totals has the statistics of a product in a range of days. An instance has one build, so
// that the numbers of distinct instances of several builds can be added up.
type Totals struct {
	Range      Range
	Known      Range     // the days with data; From is after To if there are none
	Remembered Range     // the days with [Installations]; From is after To if there are none
	AsOf       time.Time // time of the last report that is included; zero if there is none
	Builds     []BuildTotals
	Seen       []Build      // builds with data in the range or the one before it, also builds that the filter of the query excludes
	Sites      []SiteTotals // all sites with counts of the product, by name
}

// SiteTotals describes a site whose counts a store has.
type SiteTotals struct {
	Name     string
	Through  Day  // last day of its counts
	Included bool // in [Totals.Builds]
}

// BuildTotals has the statistics of a build.
type BuildTotals struct {
	Build
	Days   []Count // days with data in the range and before it, in order: see [Range.WithFinished]
	Weeks  []Count // weeks from Monday to Sunday
	Months []Count // periods of four weeks
	// Installations has the days with installations, in order, from the first one that is
	// needed for the range: see [Range.WithInstallations].
	Installations []DayInstallations
	// The following fields are of the whole range.
	Reports int64
	Heaps   Heaps // instance-days: see [Rollup.Heaps]
	Distinct
	Recent Recent
}

// Distinct has numbers of distinct instances in a range of days.
type Distinct struct {
	Instances int64
	// Exceed[n] is the number of instances that ever exceeded n or more of the
	// [HeapLimits]. Exceed[0] is the number of instances that reported a heap.
	Exceed []int64
}

// DayInstallations has the installations of a build on a day.
type DayInstallations struct {
	Day Day
	Installations
}

// Counts returns the field with the counts of a span.
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

// Count has the counts of a build in a period.
type Count struct {
	Day       Day // first day of the period
	Reports   int64
	Instances int64 // distinct in the period
	Checks    int64 // only of days
	Starts          // only of days
}

// Recent has the numbers of distinct instances in the last days of a range, and in as many
// days before them.
type Recent struct {
	Day, DayBefore     int64
	Week, WeekBefore   int64
	Month, MonthBefore int64
	RangeBefore        int64 // in the days before the range, as many as it has
}

// windows returns pointers to the fields, in the order of the function windows after its
// first element.
func (n *Recent) windows() []*int64 {
	return []*int64{&n.Day, &n.DayBefore, &n.Week, &n.WeekBefore, &n.Month, &n.MonthBefore, &n.RangeBefore}
}

// NeededPeriods returns the periods whose rollups the [Merger] of a range needs on a day,
// each once. There is no data before the range known.
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

// windows returns the ranges that are merged for a range: itself, and the ranges of [Recent].
func windows(r Range) []Range {
	day, week, month := r.Last(1), r.Last(7), r.Last(28)
	return []Range{r, day, day.Previous(), week, week.Previous(), month, month.Previous(), r.Previous()}
}

// Merger adds up the rollups of builds over several days. It is not safe for concurrent use.
type Merger struct {
	on      Day
	indexes map[Period]int // in parsed, by needed period
	covers  [][]int        // of each window: the indexes of its periods
	parsed  []parsedRollup // the rollups of a build
	counter distinctCounter
}

// Encoded is a rollup encoded by [Rollup.AppendBinary].
type Encoded struct {
	Period
	Data []byte
}

// NewMerger returns a Merger for a range on a day: periods that have ended by then have
// rollups of their own.
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

// MergeInto sets the fields of b that are of several days, from its rollups of the
// [NeededPeriods].
func (s *Merger) MergeInto(b *BuildTotals, rollups []Encoded) error {
	if err := s.parse(rollups); err != nil {
		return err
	}
	into := b.Recent.windows()
	var parts []*parsedRollup
	for i, cover := range s.covers {
		parts = parts[:0]
		for _, index := range cover {
			if p := &s.parsed[index]; p.present {
				parts = append(parts, p)
			}
		}
		s.counter.reset()
		var err error
		if i == 0 {
			err = s.mergeRange(b, parts)
		} else {
			*into[i-1], err = s.counter.countAll(parts)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CountPeriod returns the counts of a period in the range that is not over, from the same
// rollups as [Merger.MergeInto].
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

// parse parses rollups.
func (s *Merger) parse(rollups []Encoded) error {
	for i := range s.parsed {
		s.parsed[i].present = false
	}
	for _, r := range rollups {
		index, needed := s.indexes[r.Period]
		if !needed {
			continue
		}
		if err := s.parsed[index].parse(r.Data); err != nil {
			return fmt.Errorf("rollup of %d days from %s: %w", r.Span, r.Day, err)
		}
	}
	return nil
}

// mergeRange adds up the whole range.
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

// countAll returns the number of distinct instances of some rollups.
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

// countByHeap returns the numbers of distinct instances of some rollups, by heap limit.
func (t *distinctCounter) countByHeap(rollups []*parsedRollup) (Distinct, error) {
	d := Distinct{Exceed: make([]int64, len(heapLimits)+1)}
	left := make([]int, len(rollups)) // number of classes of each that are not added yet
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
		d.Instances = max(d.Instances, t.count()) // adding instances can decrease an estimate
		if class > 0 {
			d.Exceed[class-1] = d.Instances
		}
	}
	return d, nil
}

// AddChecks adds checks to a day.
func (b *BuildTotals) AddChecks(d Day, n int64) {
	i, found := slices.BinarySearchFunc(b.Days, d, func(c Count, d Day) int { return cmp.Compare(c.Day, d) })
	if !found {
		b.Days = slices.Insert(b.Days, i, Count{Day: d})
	}
	b.Days[i].Checks += n
}
