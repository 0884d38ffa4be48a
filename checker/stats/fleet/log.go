package fleet

import (
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats"
)

// Log is all that a fleet has told, for [NewTruth] and [Fold].
type Log struct {
	checker.Listing
	Known stats.Range // the days that there are reports of, or checks

	checks   []Check
	builds   []stats.Build
	ids      []told // by the number of an id
	heard    []heard
	visits   []visit
	starts   []start
	early    []start // that may count as starts, see [early]
	numbers  map[uuid.UUID]int32
	byBuild  map[stats.Build]int32
	lastSeen time.Time
}

// told is what is known of an id.
type told struct {
	id          uuid.UUID
	build       int32
	first, last int64 // of its reports since it started, the last time
	day         stats.Day
}

// heard is a report. A heap below 0 was not told.
type heard struct {
	at, heap int64
	id       int32
}

// visit is a day on which an id has reported.
type visit struct {
	day stats.Day
	id  int32
}

// early is after how many seconds without a report an id that had reported again
// may count as started anew: stores know its last report within 12 hours.
const early = 36 * hour

// start is one start of an id.
type start struct {
	day   stats.Day
	id    int32
	again bool
}

// Log makes all reports and keeps them: some 30 bytes each.
func (f Fleet) Log() *Log {
	l := &Log{Listing: f.Listing(), Known: f.Range(), numbers: map[uuid.UUID]int32{}, byBuild: map[stats.Build]int32{}}
	for r := range f.Reports() {
		l.add(r)
	}
	for c := range f.Checks() {
		l.checks = append(l.checks, c)
	}
	for id := range l.ids {
		l.close(int32(id))
	}
	return l
}

// add notes a report, which must not be earlier than the one before.
func (l *Log) add(r Report) {
	id, known := l.numbers[r.ID]
	if !known {
		id = int32(len(l.ids))
		l.numbers[r.ID] = id
		l.ids = append(l.ids, told{id: r.ID, build: l.number(r.Build), first: r.At, last: r.At, day: -1})
	}
	at := &l.ids[id]
	switch silent := r.At - at.last; {
	case silent > 48*hour:
		l.close(id)
		at.first = r.At
	case silent > early && at.last-at.first >= 60:
		l.early = append(l.early, start{day: stats.Day(r.At / day), id: id})
	}
	at.last = r.At
	if d := stats.Day(r.At / day); d != at.day {
		at.day = d
		l.visits = append(l.visits, visit{d, id})
	}
	heap := int64(-1)
	if r.Heap != nil {
		heap = *r.Heap
	}
	l.heard = append(l.heard, heard{r.At, heap, id})
	l.lastSeen = time.Unix(r.At, 0).UTC()
}

// close notes that an id is not heard of for so long that it counts as ended.
func (l *Log) close(id int32) {
	at := l.ids[id]
	l.starts = append(l.starts, start{stats.Day(at.first / day), id, at.last-at.first >= 60})
}

func (l *Log) number(b stats.Build) int32 {
	n, known := l.byBuild[b]
	if !known {
		n = int32(len(l.builds))
		l.byBuild[b] = n
		l.builds = append(l.builds, b)
	}
	return n
}
