package fleet

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"relcheck/checker/stats"
)

// pageSize is how many reports are folded at a time.
const pageSize = 25_000

// Folded is what a log adds up to, as a store keeps it: encoded rollups, merged
// page by page.
type Folded struct {
	log     *Log
	rollups map[stats.Slot]rolled
	starts  map[stats.Slot]stats.Starts
	lives   map[uint64]stats.Life
}

// rolled is one rollup as it is kept.
type rolled struct {
	reports, ids int64
	data         []byte
}

// Figures folds the fleet's reports, and returns what they add up to in a range
// of days, of the builds that a filter keeps.
func (f Fleet) Figures(r stats.Range, keep func(stats.Build) bool) *stats.Figures {
	return f.Log().Fold().Figures(r, keep)
}

// Fold folds all reports, with every id followed.
func (l *Log) Fold() *Folded {
	f := &Folded{log: l, rollups: map[stats.Slot]rolled{}, starts: map[stats.Slot]stats.Starts{}, lives: map[uint64]stats.Life{}}
	for page := range slices.Chunk(l.heard, pageSize) {
		f.page(page)
	}
	longer := map[stats.Slot]*stats.Rollup{}
	for slot, day := range f.rollups {
		for _, span := range stats.Spans[1:] {
			stats.SumInto(longer, slot.Longer(span), day.decode())
		}
	}
	for slot, rollup := range longer {
		f.keep(slot, rollup)
	}
	return f
}

// page folds some reports, and merges that with what there is.
func (f *Folded) page(reports []heard) {
	fold := stats.NewFold(0, f.lives)
	for _, r := range reports {
		id := &f.log.ids[r.id]
		report := stats.Report{At: r.at, Build: int64(id.build), Hash: stats.Key{1}.Hash(id.id)}
		if r.heap >= 0 {
			report.Heap = &r.heap
		}
		fold.Add(report)
	}
	for slot, rollup := range fold.Days() {
		if was, ok := f.rollups[slot]; ok {
			rollup.Merge(was.decode())
		}
		f.keep(slot, rollup)
	}
	maps.Copy(f.lives, fold.Changed)
	for slot, s := range fold.Starts {
		sum := f.starts[slot]
		sum.Started += s.Started
		sum.Again += s.Again
		f.starts[slot] = sum
	}
	now := reports[len(reports)-1].at
	maps.DeleteFunc(f.lives, func(_ uint64, l stats.Life) bool { return now-l.Last > stats.Silence })
}

func (f *Folded) keep(slot stats.Slot, rollup *stats.Rollup) {
	data, err := rollup.AppendBinary(nil)
	if err != nil {
		panic(err) // of a sketch that was made just now
	}
	f.rollups[slot] = rolled{rollup.Reports, rollup.IDs(), data}
}

func (r rolled) decode() *stats.Rollup {
	rollup := new(stats.Rollup)
	if err := rollup.UnmarshalBinary(r.data); err != nil {
		panic(err) // these bytes are our own
	}
	return rollup
}

// Figures returns what is known of a range of days, of the builds that a filter keeps.
func (f *Folded) Figures(r stats.Range, keep func(stats.Build) bool) *stats.Figures {
	figures := &stats.Figures{Range: r, Known: f.log.Known, AsOf: f.asOf(r, keep)}
	needed := map[stats.Period]bool{}
	for _, p := range stats.Needed(r, figures.Known, stats.Ever) {
		needed[p] = true
	}
	rollups, sums := map[int64][]stats.Written{}, stats.NewSums(r, stats.Ever)
	for slot, rolled := range f.rollups {
		if needed[slot.Period] && keep(f.log.builds[slot.Build]) {
			rollups[slot.Build] = append(rollups[slot.Build], stats.Written{Period: slot.Period, Form: rolled.data})
		}
	}
	counts := f.counts(r, keep)
	for n, b := range f.log.builds {
		of := counts[int64(n)]
		if of == nil {
			of = &stats.BuildFigures{}
		} else {
			for _, c := range []*[]stats.Count{&of.Days, &of.Weeks, &of.Months} {
				slices.SortFunc(*c, func(a, b stats.Count) int { return cmp.Compare(a.Day, b.Day) })
			}
		}
		if counts[int64(n)] == nil && rollups[int64(n)] == nil {
			continue
		}
		of.Build = b
		if err := sums.Of(of, rollups[int64(n)]); err != nil {
			panic(err) // these bytes are our own
		}
		figures.Builds = append(figures.Builds, *of)
	}
	return figures
}

// counts fills in what is counted by period, by build.
func (f *Folded) counts(r stats.Range, keep func(stats.Build) bool) map[int64]*stats.BuildFigures {
	all := map[int64]*stats.BuildFigures{}
	count := func(slot stats.Slot) *stats.Count {
		if p := slot.Range(); p.From < r.From || p.To > r.To || !keep(f.log.builds[slot.Build]) {
			return nil
		}
		if all[slot.Build] == nil {
			all[slot.Build] = new(stats.BuildFigures)
		}
		of := map[stats.Span]*[]stats.Count{stats.OneDay: &all[slot.Build].Days,
			stats.OneWeek: &all[slot.Build].Weeks, stats.FourWeeks: &all[slot.Build].Months}[slot.Span]
		i := slices.IndexFunc(*of, func(c stats.Count) bool { return c.Day == slot.Day })
		if i < 0 {
			i = len(*of)
			*of = append(*of, stats.Count{Day: slot.Day})
		}
		return &(*of)[i]
	}
	for slot, rolled := range f.rollups {
		if c := count(slot); c != nil {
			c.Reports, c.IDs = rolled.reports, rolled.ids
			c.Starts = f.starts[slot]
		}
	}
	for _, asked := range f.log.checks {
		n := int64(f.log.number(asked.Build))
		if c := count(stats.Slot{Period: stats.Period{Span: stats.OneDay, Day: asked.Day}, Build: n}); c != nil {
			c.Checks += asked.Count
		}
	}
	return all
}

// asOf is when the last report came in that is counted.
func (f *Folded) asOf(r stats.Range, keep func(stats.Build) bool) time.Time {
	for _, h := range slices.Backward(f.log.heard) {
		if r.Has(stats.Day(h.at/day)) && keep(f.log.builds[f.log.ids[h.id].build]) {
			return time.Unix(h.at, 0).UTC()
		}
	}
	return time.Time{}
}
