package rollup

// Report is a report as a fold needs it.
type Report struct {
	At    int64  // seconds since 1970-01-01 UTC
	Build int64  // ID of the build in the store
	Hash  uint64 // of the instance ID, see [Key.Hash]
	Heap  *int64 // bytes, or nil
	// Remembers reports that the report comes from an installation that remembers its last
	// answer. It counts no instance, because [CountLast] counts it.
	Remembers bool
}

// Slot identifies a rollup: a build and a period.
type Slot struct {
	Period
	Build int64
}

// Fold aggregates reports into rollups, which are then merged into the store's rollups.
type Fold struct {
	// Changed has the new and changed lifetimes, by hash of the instance ID.
	Changed map[uint64]Lifetime
	// Starts has what to add to the stored counts of starts, by day. A number is negative if
	// an instance started earlier than it seemed before.
	Starts map[Slot]Starts

	sample int
	known  map[uint64]Lifetime
	days   map[Slot]*Rollup
}

// NewFold returns a fold that continues known lifetimes. It tracks the lifetimes of one
// in 2^sample instances, and counts each as that many.
func NewFold(sample int, known map[uint64]Lifetime) *Fold {
	return &Fold{Changed: map[uint64]Lifetime{}, Starts: map[Slot]Starts{}, sample: sample, known: known, days: map[Slot]*Rollup{}}
}

// Sampled reports whether the lifetime of an instance is tracked: if the low bits of its hash
// are 0.
func Sampled(hash uint64, sample int) bool { return hash&(1<<sample-1) == 0 }

// Add counts a report.
func (f *Fold) Add(r Report) {
	slot := Slot{Period{OneDay, dayOf(r.At)}, r.Build}
	rollup := f.days[slot]
	if rollup == nil {
		rollup = new(Rollup)
		f.days[slot] = rollup
	}
	if r.Remembers {
		rollup.addRemembering(r.Hash, r.Heap)
		return
	}
	rollup.add(r.Hash, r.Heap)
	if Sampled(r.Hash, f.sample) {
		f.updateLifetime(r)
	}
}

// Days returns the rollups by day.
func (f *Fold) Days() map[Slot]*Rollup { return f.days }

// In returns the slot of a longer span that includes this one.
func (s Slot) In(span Span) Slot { return Slot{Period{span, span.Start(s.Day)}, s.Build} }

// AddPart adds the rollup of a day to the rollup of a slot.
func AddPart(all map[Slot]*Rollup, slot Slot, day *Rollup) { rollupIn(all, slot).AddPart(day) }

// AddLatePart adds late reports to a slot that already includes their day: see
// [Rollup.AddLatePart].
func AddLatePart(all map[Slot]*Rollup, slot Slot, part, day *Rollup, before Heaps) {
	rollupIn(all, slot).AddLatePart(part, day, before)
}

func rollupIn(all map[Slot]*Rollup, slot Slot) *Rollup {
	if all[slot] == nil {
		all[slot] = new(Rollup)
	}
	return all[slot]
}

// updateLifetime adds a report to the lifetime of its instance. It corrects what was counted
// for the known part of the lifetime, unless a new lifetime starts.
func (f *Fold) updateLifetime(r Report) {
	was, known := f.Changed[r.Hash]
	if !known {
		was, known = f.known[r.Hash]
	}
	if !known {
		was = Lifetime{Build: r.Build}
	}
	is := was.withReport(r.At)
	if is == was {
		return
	}
	f.Changed[r.Hash] = is
	if known && is.First <= was.Last {
		f.count(was, -1)
	}
	f.count(is, 1)
}

func (f *Fold) count(l Lifetime, sign int64) {
	slot := Slot{Period{OneDay, l.Started()}, l.Build}
	n, s := sign<<f.sample, f.Starts[slot]
	s.Started += n
	if l.Repeated() {
		s.Repeated += n
	}
	f.Starts[slot] = s
}
