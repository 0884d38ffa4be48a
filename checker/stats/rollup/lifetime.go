package rollup

const (
	// MaxSilence is the maximum number of seconds between two reports of a lifetime. After a
	// longer time, an instance counts as started again. Because lifetimes are updated
	// only every 12 hours, the actual limit may be up to 12 hours shorter.
	MaxSilence = 2 * 24 * 60 * 60
	// MinRepeat is the minimum number of seconds after its first report for an instance to
	// count as reported again. An earlier report is a repeated request.
	MinRepeat = 60
	// lastStep is the minimum number of seconds that a report adds to the lifetime of an
	// instance that has reported again, so that most reports change no lifetime.
	lastStep = 12 * 60 * 60
)

// Lifetime has the times of the reports of an instance since it started.
type Lifetime struct {
	Build       int64
	First, Last int64 // seconds since 1970-01-01 UTC; Last is within 12 hours, and 0 before the first report
}

// Repeated reports whether the instance has reported again.
func (l Lifetime) Repeated() bool { return l.Last-l.First >= MinRepeat }

// Started returns the day of the first report.
func (l Lifetime) Started() Day { return dayOf(l.First) }

// withReport returns the lifetime extended by a report. The result does not depend on the
// order of reports, if they are less than [MaxSilence] apart.
func (l Lifetime) withReport(at int64) Lifetime {
	if l.Last == 0 || at-l.Last > MaxSilence {
		return Lifetime{l.Build, at, at}
	}
	if l.First-at > MaxSilence { // of an earlier lifetime
		return l
	}
	if l.Repeated() && at >= l.First && at < l.Last+lastStep {
		return l
	}
	return Lifetime{l.Build, min(l.First, at), max(l.Last, at)}
}

// Starts has the number of instances that started on a day, and how many of them reported
// again.
type Starts struct{ Started, Repeated int64 }
