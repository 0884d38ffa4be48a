package rollup

const (
	// MaxSilence is after how many seconds without a report an id that reports
	// again counts as one that has started anew. Lives being kept somewhat coarsely,
	// it may be up to 12 hours less.
	MaxSilence = 2 * 24 * 60 * 60
	// MinRepeat is how many seconds after its first report an id has to report for
	// it to count as one that has reported again. Less is the same report, sent
	// twice.
	MinRepeat = 60
	// lastStep is how many seconds later a report of an id that has reported again
	// has to be for its life to change: most reports change none.
	lastStep = 12 * 60 * 60
)

// Lifetime is when an id has reported, since it started.
type Lifetime struct {
	Build       int64
	First, Last int64 // seconds since 1970-01-01 UTC, Last within 12 hours; it is 0 while there is no report
}

// Repeated tells whether the id has reported again.
func (l Lifetime) Repeated() bool { return l.Last-l.First >= MinRepeat }

// Started is the day of its first report.
func (l Lifetime) Started() Day { return dayOf(l.First) }

// withReport notes a report. The result is the same in whatever order reports come,
// as long as they are not as far apart as [MaxSilence].
func (l Lifetime) withReport(at int64) Lifetime {
	if l.Last == 0 || at-l.Last > MaxSilence {
		return Lifetime{l.Build, at, at}
	}
	if l.First-at > MaxSilence { // of a life before this one
		return l
	}
	if l.Repeated() && at >= l.First && at < l.Last+lastStep {
		return l
	}
	return Lifetime{l.Build, min(l.First, at), max(l.Last, at)}
}

// Starts counts ids by the day of their first report, and those of them that
// have reported again.
type Starts struct{ Started, Repeated int64 }
