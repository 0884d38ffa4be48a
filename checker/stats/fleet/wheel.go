package fleet

import (
	"math"
	"math/rand/v2"

	"github.com/google/uuid"

	"relcheck/checker/stats"
)

const hour = 60 * 60 // seconds

// wheel lets the instances of a fleet live, an hour a turn. It has a slot for
// each second of the hour; an instance is in that of its next report.
type wheel struct {
	Fleet
	random    *rand.Rand
	market    *market
	builds    []stats.Build
	heaps     []float64 // of each build, the logarithm of [market.heap]
	numbers   map[stats.Build]int32
	instances []instance
	started   int64 // how many there have been
	free      int32 // the first of those that have ended, or none
	slots     [hour]int32
	yield     func(Report) bool
}

const none = -1

// instance is one process.
type instance struct {
	id     uuid.UUID
	number int64
	build  int32
	next   int32 // in the same slot, or none
	life
}

func newWheel(f Fleet) *wheel {
	random := rand.New(rand.NewPCG(f.Seed, 0))
	w := &wheel{Fleet: f, random: random, market: newMarket(f, random), numbers: map[stats.Build]int32{}, free: none}
	for i := range w.slots {
		w.slots[i] = none
	}
	return w
}

// run makes all reports until they are not wanted any more.
func (w *wheel) run(yield func(Report) bool) {
	w.yield = yield
	from, to := w.Range().From.Time().Unix(), (w.End + 1).Time().Unix()
	for range poisson(w.random, servers*float64(w.Instances)*w.scale(w.Range().From)) {
		w.start(older(w.random, w.Fleet, from))
	}
	for turn := from; turn < to; turn += hour {
		w.startAll(turn)
		for second := range w.slots {
			if w.slots[second] != none && !w.turn(second, turn+int64(second)) {
				return
			}
		}
	}
}

// startAll starts those that do so within an hour. At weekends fewer people work.
func (w *wheel) startAll(from int64) {
	d := stats.Day(from / day)
	each := float64(w.Instances) * w.scale(d) / 24
	people := each
	if weekday := d.Time().Weekday(); weekday == 0 || weekday == 6 {
		people /= 2
	}
	for range poisson(w.random, people*checks) {
		w.start(aCheck(w.random, from))
	}
	for range poisson(w.random, people*sessions) {
		w.start(aSession(w.random, from))
	}
	for range poisson(w.random, each*servers/meanLife) {
		w.start(aServer(w.random, w.Fleet, from))
	}
}

// start lets an instance live.
func (w *wheel) start(l life) {
	b := w.market.build(l.at)
	number, ok := w.numbers[b]
	if !ok {
		number = int32(len(w.builds))
		w.numbers[b] = number
		w.builds = append(w.builds, b)
		w.heaps = append(w.heaps, math.Log(w.market.heap(b)))
	}
	l.heap += w.heaps[number]
	i := w.free
	if i == none {
		i = int32(len(w.instances))
		w.instances = append(w.instances, instance{})
	} else {
		w.free = w.instances[i].next
	}
	w.instances[i] = instance{id: NewID(w.random), number: w.started, build: number, life: l}
	w.started++
	w.put(i)
}

// put puts an instance into the slot of its next report.
func (w *wheel) put(i int32) {
	slot := &w.slots[w.instances[i].at%hour]
	w.instances[i].next = *slot
	*slot = i
}

// turn makes the reports of a second.
func (w *wheel) turn(slot int, now int64) bool {
	i := w.slots[slot]
	w.slots[slot] = none
	for i != none {
		at := &w.instances[i]
		next := at.next
		if at.at == now {
			if !w.yield(Report{now, at.id, at.number, w.builds[at.build], at.tell(w.random)}) {
				return false
			}
			at.wait(w.random)
		}
		if at.at != ended {
			w.put(i)
		} else {
			at.next, w.free = w.free, i
		}
		i = next
	}
	return true
}
