package statstest

import (
	"iter"
	"math/rand/v2"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// World simulates installations that report once or twice a day to two servers, for as many
// days as it has, and programs that cannot remember. Installations restart, are installed
// again, upgraded and downgraded, are silent for weeks, and come from copies of a disk that
// was in use. Reports are late, and answers get lost. The same seed simulates the same.
type World struct {
	Seed          uint64
	Installations int // on the first day, about as many as on the last
	Days          rollup.Range
}

// Sent is a report as it is recorded, with what only the world knows about it.
type Sent struct {
	At           int64 // seconds since 1970-01-01 UTC by the clock of the server
	Server       int   // 0 or 1
	Version      int   // number of the version; higher ones are newer
	Last         checker.Last
	Process      int64      // number of the process
	Installation int32      // number of the installation, or -1 if the program cannot remember
	Faultless    bool       // the installation loses no answer, is no copy, and is never installed again
	ClientDay    rollup.Day // by the client's clock, which is right
}

// Chances in a world.
const (
	perDay = 24 * 60 * 60 // seconds

	lostAnswers   = 0.02   // of an installation that is not faultless, of which there is half
	sentTwice     = 0.0005 // of reports of those installations
	lateReports   = 0.005  // of all reports: up to two hours
	maxDelay      = 2 * 60 * 60
	reinstalled   = 1. / 3650    // a day, of an installation that is not faultless
	copied        = 1. / 100_000 // a day, of an installation
	mostCopies    = 10           // of a disk
	ended         = 1. / 700     // a day, of an installation
	silenced      = 1. / 400     // a day, of a server, for up to 60 days
	downgraded    = 1. / 2000    // a day, of an installation
	upgraded      = 1. / 15      // a day, of an installation that does not have the newest version
	releaseEvery  = 30           // days
	aheadOfServer = 90           // seconds by which the clock of server 1 is ahead of that of server 0
)

// installationKind is how an installation is used.
type installationKind uint8

const (
	server      installationKind = iota // reports every day, and restarts every few weeks
	workstation                         // reports on most working days, from a new process
	occasional                          // reports every other week, from a new process
)

type worldInstallation struct {
	last      checker.Last
	process   int64
	busy      int64      // time until which a report is on its way
	wakes     rollup.Day // first day on which it may report
	version   int16
	kind      installationKind
	faultless bool
	gone      bool
}

type worldState struct {
	World
	random        *rand.Rand
	installations []worldInstallation
	containers    []worldInstallation // that cannot remember, and run for some days
	processes     int64
	yield         func(Sent) bool
	stopped       bool
}

// Reports simulates all reports, day by day. Within a day, they are in order by
// installation.
func (w World) Reports() iter.Seq[Sent] {
	return func(yield func(Sent) bool) {
		s := worldState{World: w, random: rand.New(rand.NewPCG(w.Seed, 17)), yield: yield}
		for d := w.Days.From; d <= w.Days.To && !s.stopped; d++ {
			s.simulate(d)
		}
	}
}

// chance reports true with a probability.
func (s *worldState) chance(p float64) bool { return s.random.Float64() < p }

func (s *worldState) newest(d rollup.Day) int16 { return int16((d - s.Days.From) / releaseEvery) }

func (s *worldState) simulate(d rollup.Day) {
	births := int(float64(s.Installations)*ended + s.random.Float64())
	if d == s.Days.From {
		births = s.Installations
	}
	for range births {
		kind := []installationKind{server, server, server, workstation, workstation, occasional}[s.random.IntN(6)]
		s.installations = append(s.installations, worldInstallation{last: checker.NeverAnswered, wakes: d, kind: kind, version: s.newest(d),
			process: s.newProcess(), faultless: s.chance(0.5)})
	}
	for i := range len(s.installations) { // copies report from the next day on
		s.simulateInstallation(int32(i), d)
		if s.stopped {
			return
		}
	}
	s.simulateStateless(d)
}

func (s *worldState) newProcess() int64 {
	s.processes++
	return s.processes
}

func (s *worldState) simulateInstallation(number int32, d rollup.Day) {
	in := &s.installations[number]
	if in.gone || d < in.wakes || !s.uses(in.kind, d) {
		return
	}
	s.change(in, d)
	n := 1 + s.random.IntN(2)
	if s.chance(copied) {
		for range 1 + s.random.IntN(mostCopies) {
			duplicate := *in
			duplicate.faultless, duplicate.process, duplicate.wakes = false, s.newProcess(), d+1+rollup.Day(s.random.IntN(30))
			s.installations = append(s.installations, duplicate)
		}
		in = &s.installations[number]
	}
	at := int64(d)*perDay + s.random.Int64N(perDay)
	for range n {
		s.send(in, number, d, max(at, in.busy))
		at += s.random.Int64N(int64(d+1)*perDay - at)
	}
	if s.chance(ended) {
		in.gone = true
	}
}

// uses reports whether an installation is in use on a day.
func (s *worldState) uses(kind installationKind, d rollup.Day) bool {
	switch weekend := d%7 == 2 || d%7 == 3; {
	case kind == server:
		return true
	case kind == occasional:
		return s.chance(1. / 14)
	case weekend:
		return s.chance(0.15)
	}
	return s.chance(0.9)
}

// change restarts, upgrades, downgrades, installs again or silences an installation.
func (s *worldState) change(in *worldInstallation, d rollup.Day) {
	if in.kind != server || s.chance(1./20) {
		in.process = s.newProcess()
	}
	switch {
	case in.version < s.newest(d) && s.chance(upgraded):
		in.version = s.newest(d)
	case in.version > 0 && s.chance(downgraded):
		in.version--
	}
	if !in.faultless && s.chance(reinstalled) {
		in.last = checker.NeverAnswered
	}
	if in.kind == server && s.chance(silenced) {
		in.wakes = d + 1 + rollup.Day(s.random.IntN(60))
	}
}

// send sends a report of an installation, and remembers the day of the answer.
func (s *worldState) send(in *worldInstallation, number int32, d rollup.Day, at int64) {
	if s.chance(lateReports) {
		at += s.random.Int64N(maxDelay)
	}
	in.busy = at
	r := Sent{Server: s.random.IntN(2), Version: int(in.version), Last: in.last, Process: in.process, Installation: number, Faultless: in.faultless, ClientDay: d}
	r.At = at + int64(r.Server)*aheadOfServer
	s.emit(r)
	if !in.faultless && s.chance(sentTwice) {
		s.emit(r)
	}
	if in.faultless || !s.chance(lostAnswers) {
		in.last = remembered(in.last, dayOf(r.At))
	}
}

// remembered returns what a client stores when it gets an answer: the day, unless it is the
// day before the one that it has stored, from a server whose clock is behind.
func remembered(stored checker.Last, day rollup.Day) checker.Last {
	if stored == checker.Last(day)+1 {
		return stored
	}
	return checker.Last(day)
}

func (s *worldState) emit(r Sent) {
	if !s.stopped && !s.yield(r) {
		s.stopped = true
	}
}

// simulateStateless simulates programs that cannot remember: jobs that report once, and
// containers that run for some days.
func (s *worldState) simulateStateless(d rollup.Day) {
	for range s.Installations / 25 {
		s.containers = append(s.containers, worldInstallation{process: s.newProcess(), version: s.newest(d), wakes: d + rollup.Day(s.random.ExpFloat64()*3)})
	}
	kept := s.containers[:0]
	for _, c := range s.containers {
		for range 1 + s.random.IntN(2) {
			s.sendStateless(c.process, c.version, d)
		}
		if c.wakes > d {
			kept = append(kept, c)
		}
	}
	s.containers = kept
	for range s.Installations / 5 {
		s.sendStateless(s.newProcess(), s.newest(d), d)
	}
}

func (s *worldState) sendStateless(process int64, version int16, d rollup.Day) {
	s.emit(Sent{At: int64(d)*perDay + s.random.Int64N(perDay), Version: int(version), Process: process, Installation: -1, ClientDay: d})
}
