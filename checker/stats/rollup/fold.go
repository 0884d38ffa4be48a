package rollup

// Report is what a fold needs to know of a report.
type Report struct {
	At    int64  // seconds since 1970-01-01 UTC
	Build int64  // the store's number of the build
	Hash  uint64 // of its id, see [Key.Hash]
	Heap  *int64 // bytes, or nil
}

// Slot is where a rollup belongs: a build and a period.
type Slot struct {
	Period
	Build int64
}

// Fold turns some reports into what is to be merged into the rollups there are.
type Fold struct {
	// Changed are the lives that are not as they were known, by the ids' hashes.
	Changed map[uint64]Lifetime
	// Starts are to be added to those there are, by the day they are of. They may
	// be negative, where an id turns out to have started earlier than it seemed.
	Starts map[Slot]Starts

	sample int
	known  map[uint64]Lifetime
	days   map[Slot]*Rollup
}

// NewFold returns a fold that follows one of 2^sample ids, each of which stands
// for that many, and to whom these lives are known.
func NewFold(sample int, known map[uint64]Lifetime) *Fold {
	return &Fold{Changed: map[uint64]Lifetime{}, Starts: map[Slot]Starts{}, sample: sample, known: known, days: map[Slot]*Rollup{}}
}

// Sampled tells whether the id with a hash is followed: the last binary digits
// of it are 0.
func Sampled(hash uint64, sample int) bool { return hash&(1<<sample-1) == 0 }

// Add counts a report.
func (f *Fold) Add(r Report) {
	slot := Slot{Period{OneDay, dayOf(r.At)}, r.Build}
	rollup := f.days[slot]
	if rollup == nil {
		rollup = new(Rollup)
		f.days[slot] = rollup
	}
	rollup.add(r.Hash, r.Heap)
	if Sampled(r.Hash, f.sample) {
		f.updateLifetime(r)
	}
}

// Days returns what the reports add up to by day.
func (f *Fold) Days() map[Slot]*Rollup { return f.days }

// Rollups returns what the reports add up to, by day, by week, and by four weeks.
func (f *Fold) Rollups() map[Slot]*Rollup {
	all := map[Slot]*Rollup{}
	for slot, day := range f.days {
		all[slot] = day
		for _, s := range Spans[1:] {
			AddPart(all, slot.In(s), day)
		}
	}
	return all
}

// In is the slot of a span that has the days of this one.
func (s Slot) In(span Span) Slot { return Slot{Period{span, span.Start(s.Day)}, s.Build} }

// AddPart adds a day's rollup to that of a slot.
func AddPart(all map[Slot]*Rollup, slot Slot, day *Rollup) { sumOf(all, slot).AddPart(day) }

// AddLatePart adds the reports of a step to a slot that has the day's rollup without
// them: see [Rollup.AddLatePart].
func AddLatePart(all map[Slot]*Rollup, slot Slot, part, day *Rollup, before Heaps) {
	sumOf(all, slot).AddLatePart(part, day, before)
}

func sumOf(all map[Slot]*Rollup, slot Slot) *Rollup {
	if all[slot] == nil {
		all[slot] = new(Rollup)
	}
	return all[slot]
}

// updateLifetime notes what a report tells of its id's life. That takes back what was
// counted for as much of the life as was known, unless this is a new one.
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
