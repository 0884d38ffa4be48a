package fleet

import (
	"math"
	"math/rand/v2"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

const hour = 60 * 60 // seconds

// simulation simulates the instances of a fleet hour by hour with a timing wheel: it has
// a slot for each second of an hour, and an instance is in the slot of its next report.
type simulation struct {
	Fleet
	random       *rand.Rand
	sampler      *buildSampler
	builds       []rollup.Build
	logHeaps     []float64 // by build: logarithm of buildSampler.heapFactor
	buildNumbers map[rollup.Build]int32
	instances    []instance
	memories     []checker.Last // by installation: the day of its last answer
	idle         []int32        // installations without a running instance
	started      int64          // number of instances so far
	free         int32          // first of the free entries of instances, or none
	slots        [hour]int32    // first instance of each slot, or none
	yield        func(Report) bool
}

const none = -1

// instance is a running process.
type instance struct {
	id         uuid.UUID
	number     int64
	build      int32
	nextInSlot int32 // next instance in the same slot or in the free list, or none
	memory     int32 // number of the installation, or none
	life
}

func newSimulation(f Fleet) *simulation {
	random := rand.New(rand.NewPCG(f.Seed, 0))
	s := &simulation{Fleet: f, random: random, sampler: newBuildSampler(f, random), buildNumbers: map[rollup.Build]int32{}, free: none}
	for i := range s.slots {
		s.slots[i] = none
	}
	return s
}

// run generates all reports until yield returns false.
func (s *simulation) run(yield func(Report) bool) {
	s.yield = yield
	from, to := s.Range().From.Time().Unix(), (s.End + 1).Time().Unix()
	for range poisson(s.random, serverShare*float64(s.Instances)*s.relativeSize(s.Range().From)) {
		s.start(newRunningServer(s.random, s.Fleet, from))
	}
	for hourStart := from; hourStart < to; hourStart += hour {
		s.startHour(hourStart)
		for second := range s.slots {
			if s.slots[second] != none && !s.runSecond(second, hourStart+int64(second)) {
				return
			}
		}
	}
}

// startHour starts the new instances of an hour. There are fewer one-shot runs and
// sessions at weekends.
func (s *simulation) startHour(hourStart int64) {
	d := rollup.Day(hourStart / day)
	perHour := float64(s.Instances) * s.relativeSize(d) / 24
	interactive := perHour
	if weekday := d.Time().Weekday(); weekday == 0 || weekday == 6 {
		interactive /= 2
	}
	for range poisson(s.random, interactive*oneShotShare) {
		s.start(newOneShot(s.random, hourStart))
	}
	for range poisson(s.random, interactive*sessionShare) {
		s.start(newSession(s.random, hourStart))
	}
	for range poisson(s.random, perHour*serverShare/meanLifetime) {
		s.start(newServer(s.random, s.Fleet, hourStart))
	}
}

// start adds an instance.
func (s *simulation) start(l life) {
	b := s.sampler.build(l.next)
	number, ok := s.buildNumbers[b]
	if !ok {
		number = int32(len(s.builds))
		s.buildNumbers[b] = number
		s.builds = append(s.builds, b)
		s.logHeaps = append(s.logHeaps, math.Log(s.sampler.heapFactor(b)))
	}
	l.logHeap += s.logHeaps[number]
	i := s.free
	if i == none {
		i = int32(len(s.instances))
		s.instances = append(s.instances, instance{})
	} else {
		s.free = s.instances[i].nextInSlot
	}
	s.instances[i] = instance{id: NewID(s.random), number: s.started, build: number, memory: s.remember(), life: l}
	if m := s.instances[i].memory; m != none && m%2 == 0 {
		s.instances[i].id = uuid.Nil
	}
	s.started++
	s.schedule(i)
}

// remember returns the installation that a new instance belongs to, or none.
func (s *simulation) remember() int32 {
	const reused = 0.9 // of the installations of new instances
	switch {
	case s.Remember == 0 || s.random.Float64() >= s.Remember:
		return none
	case len(s.idle) == 0 || s.random.Float64() >= reused:
		s.memories = append(s.memories, checker.NeverAnswered)
		return int32(len(s.memories) - 1)
	}
	last := len(s.idle) - 1
	i := s.random.IntN(last + 1)
	reusedOne := s.idle[i]
	s.idle[i], s.idle = s.idle[last], s.idle[:last]
	return reusedOne
}

// last returns what an instance remembers, and replaces it by the day of its next answer.
func (s *simulation) last(in *instance, now int64) checker.Last {
	if in.memory == none {
		return checker.CannotRemember
	}
	last := s.memories[in.memory]
	s.memories[in.memory] = checker.Last(now / day)
	return last
}

// schedule puts an instance into the slot of its next report.
func (s *simulation) schedule(i int32) {
	slot := &s.slots[s.instances[i].next%hour]
	s.instances[i].nextInSlot = *slot
	*slot = i
}

// runSecond generates the reports of a second.
func (s *simulation) runSecond(slot int, now int64) bool {
	i := s.slots[slot]
	s.slots[slot] = none
	for i != none {
		in := &s.instances[i]
		nextInSlot := in.nextInSlot
		if in.next == now {
			r := Report{At: now, ID: in.id, Number: in.number, Build: s.builds[in.build], Heap: in.heap(s.random), Installation: in.memory}
			r.Last = s.last(in, now)
			if !s.yield(r) {
				return false
			}
			in.advance(s.random)
		}
		if in.next != ended {
			s.schedule(i)
		} else {
			in.nextInSlot, s.free = s.free, i
			if in.memory != none {
				s.idle = append(s.idle, in.memory)
			}
		}
		i = nextInSlot
	}
	return true
}
