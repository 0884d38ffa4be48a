package statstest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// pageSize is how many reports are folded at a time.
const pageSize = 25_000

// Folded contains the rollups of a log, encoded and merged page by page as in a store.
type Folded struct {
	log     *Log
	folded  int // number of reports
	rollups map[rollup.Slot]encodedRollup
	starts  map[rollup.Slot]rollup.Starts
	lives   map[uint64]rollup.Lifetime
}

type encodedRollup struct {
	reports, instances int64
	data               []byte
}

// Fold folds all reports.
func (l *Log) Fold() *Folded {
	f := &Folded{log: l, rollups: map[rollup.Slot]encodedRollup{}, starts: map[rollup.Slot]rollup.Starts{}, lives: map[uint64]rollup.Lifetime{}}
	for page := range slices.Chunk(l.reports, pageSize) {
		f.foldPage(page)
	}
	longer := map[rollup.Slot]*rollup.Rollup{}
	for slot, day := range f.rollups {
		for _, span := range rollup.Spans[1:] {
			rollup.AddPart(longer, slot.In(span), day.decode())
		}
	}
	for slot, rollup := range longer {
		f.store(slot, rollup)
	}
	return f
}

// foldPage folds some reports and merges the result into f.
func (f *Folded) foldPage(reports []loggedReport) {
	fold := rollup.NewFold(0, f.lives)
	for i, r := range reports {
		in := &f.log.instances[r.instance]
		report := rollup.Report{At: r.at, Build: int64(in.build), Hash: rollup.Key{1}.Hash(in.id), Remembers: in.remembers}
		if r.heap >= 0 && (in.id != uuid.Nil || r.first) {
			report.Heap = &r.heap
		}
		if in.id == uuid.Nil {
			report.Hash = rollup.Key{2}.Hash(uuid.NewSHA1(uuid.Nil, fmt.Append(nil, f.folded+i)))
		}
		fold.Add(report)
	}
	f.folded += len(reports)
	for slot, rollup := range fold.Days() {
		if old, ok := f.rollups[slot]; ok {
			rollup.Merge(old.decode())
		}
		f.store(slot, rollup)
	}
	maps.Copy(f.lives, fold.Changed)
	for slot, s := range fold.Starts {
		sum := f.starts[slot]
		sum.Started += s.Started
		sum.Repeated += s.Repeated
		f.starts[slot] = sum
	}
	now := reports[len(reports)-1].at
	maps.DeleteFunc(f.lives, func(_ uint64, l rollup.Lifetime) bool { return now-l.Last > rollup.MaxSilence })
}

func (f *Folded) store(slot rollup.Slot, rollup *rollup.Rollup) {
	data, err := rollup.AppendBinary(nil)
	if err != nil {
		panic(err) // a new rollup can always be encoded
	}
	f.rollups[slot] = encodedRollup{rollup.Reports, rollup.Instances(), data}
}

func (r encodedRollup) decode() *rollup.Rollup {
	rollup := new(rollup.Rollup)
	if err := rollup.UnmarshalBinary(r.data); err != nil {
		panic(err) // store encoded the data
	}
	return rollup
}

// Figures returns the statistics of a range of days for the builds that a filter keeps.
func (f *Folded) Figures(r rollup.Range, keep func(rollup.Build) bool) *rollup.Totals {
	figures := &rollup.Totals{Range: r, Known: f.log.Known, Remembered: f.log.remembered(), AsOf: f.asOf()}
	needed := map[rollup.Period]bool{}
	for _, p := range rollup.NeededPeriods(r, figures.Known, rollup.MaxDay) {
		needed[p] = true
	}
	rollups, sums := map[int64][]rollup.Encoded{}, rollup.NewMerger(r, rollup.MaxDay)
	for slot, encoded := range f.rollups {
		if needed[slot.Period] && keep(f.log.builds[slot.Build]) {
			rollups[slot.Build] = append(rollups[slot.Build], rollup.Encoded{Period: slot.Period, Data: encoded.data})
		}
	}
	counts := f.counts(r, keep)
	f.addInstallations(counts, r, keep)
	for n, b := range f.log.builds {
		build := counts[int64(n)]
		if build == nil {
			build = &rollup.BuildTotals{}
		} else {
			for _, c := range []*[]rollup.Count{&build.Days, &build.Weeks, &build.Months} {
				slices.SortFunc(*c, func(a, b rollup.Count) int { return cmp.Compare(a.Day, b.Day) })
			}
		}
		if counts[int64(n)] == nil && rollups[int64(n)] == nil {
			continue
		}
		build.Build = b
		if err := sums.MergeInto(build, rollups[int64(n)]); err != nil {
			panic(err) // store encoded the rollups
		}
		figures.Builds = append(figures.Builds, *build)
	}
	return figures
}

// counts returns the counts per day, week and month, by build.
func (f *Folded) counts(r rollup.Range, keep func(rollup.Build) bool) map[int64]*rollup.BuildTotals {
	builds := map[int64]*rollup.BuildTotals{}
	// count returns the count of a slot, or nil if the slot is outside r or filtered out.
	count := func(slot rollup.Slot) *rollup.Count {
		if p := slot.Range(); p.From < r.WithFinished(slot.Span).From || p.To > r.To || !keep(f.log.builds[slot.Build]) {
			return nil
		}
		if builds[slot.Build] == nil {
			builds[slot.Build] = new(rollup.BuildTotals)
		}
		counts := map[rollup.Span]*[]rollup.Count{rollup.OneDay: &builds[slot.Build].Days,
			rollup.OneWeek: &builds[slot.Build].Weeks, rollup.FourWeeks: &builds[slot.Build].Months}[slot.Span]
		i := slices.IndexFunc(*counts, func(c rollup.Count) bool { return c.Day == slot.Day })
		if i < 0 {
			i = len(*counts)
			*counts = append(*counts, rollup.Count{Day: slot.Day})
		}
		return &(*counts)[i]
	}
	for slot, encoded := range f.rollups {
		if c := count(slot); c != nil {
			c.Reports, c.Instances = encoded.reports, encoded.instances
			c.Starts = f.starts[slot]
		}
	}
	for _, checks := range f.log.checks {
		if !r.Contains(checks.Day) {
			continue
		}
		n := int64(f.log.buildNumber(checks.Build))
		if c := count(rollup.Slot{Period: rollup.Period{Span: rollup.OneDay, Day: checks.Day}, Build: n}); c != nil {
			c.Checks += checks.Count
		}
	}
	return builds
}

// addInstallations adds the installations of the days that a range needs, as a store counts
// them.
func (f *Folded) addInstallations(builds map[int64]*rollup.BuildTotals, r rollup.Range, keep func(rollup.Build) bool) {
	days := r.WithInstallations()
	for _, in := range f.log.installationDays {
		if !days.Contains(in.day) || !keep(f.log.builds[in.build]) {
			continue
		}
		b := builds[int64(in.build)]
		if b == nil {
			b = new(rollup.BuildTotals)
			builds[int64(in.build)] = b
		}
		last := checker.Last(in.previous)
		if in.previous == 0 {
			last = checker.NeverAnswered
		}
		if n := len(b.Installations); n == 0 || b.Installations[n-1].Day != in.day {
			b.Installations = append(b.Installations, rollup.DayInstallations{Day: in.day})
		}
		b.Installations[len(b.Installations)-1].Add(rollup.CountLast(last, in.day))
	}
}

// asOf returns the time of the last report, or the zero time.
func (f *Folded) asOf() time.Time {
	if len(f.log.reports) == 0 {
		return time.Time{}
	}
	return time.Unix(f.log.reports[len(f.log.reports)-1].at, 0).UTC()
}
