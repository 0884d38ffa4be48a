package simulate

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"relcheck/checker/stats"
)

// Result is what came of a load. Every request that was sent is answered, failed
// or was given up.
type Result struct {
	Elapsed time.Duration
	Sent    int64
	Status  [6]int64 // answers by the first digit of their status
	Failed  int64    // have no answer, or one that is none
	GivenUp int64    // were not waited for, since somebody wanted an end
	Unsent  int64    // were due in an open loop, but no connection was free

	Recorded   int64 // reports that the service says it has recorded
	Unrecorded int64 // and those of which it says that they are over a source's budget
	Checks     int64 // answered with success, but not reports: they have no id
	IDs        int64 // distinct, of the reports recorded
	// Builds are the reports recorded, by what they told.
	Builds map[stats.Build]*Counts

	// Latency is that of all answers, in nanoseconds, within 1 %.
	Latency stats.Heaps
	Longest time.Duration
	// Trouble is what the first request told that was not answered with success.
	Trouble error

	seen []uint64 // a bit for each number of an id that was recorded
}

// Counts are those of a build.
type Counts struct{ Reports, IDs int64 }

func newResult() *Result { return &Result{Builds: map[stats.Build]*Counts{}} }

// Answered is how many requests were answered, with success or not.
func (r *Result) Answered() int64 { return r.Sent - r.Failed - r.GivenUp }

// Succeeded is how many of them were answered with a status of 200 to 299.
func (r *Result) Succeeded() int64 { return r.Status[2] }

// add counts an exchange, and tells whether it has recorded a report. Without an
// answer after the end was wanted, a request was given up.
func (r *Result) add(request *Request, a answer, err error, took time.Duration, ended bool) (recorded bool) {
	r.Sent++
	if err != nil {
		if ended {
			r.GivenUp++
			return false
		}
		r.Failed++
		r.trouble(err)
		return false
	}
	r.Status[min(a.status/100, len(r.Status)-1)]++
	r.Latency.Add(stats.HeapBucket(int64(took)), 1)
	r.Longest = max(r.Longest, took)
	switch {
	case a.status < 200 || a.status > 299:
		r.trouble(fmt.Errorf("status %d: %s", a.status, a.text))
	case request.ID == uuid.Nil:
		r.Checks++
	case a.unrecorded:
		r.Unrecorded++
	default:
		r.record(request)
		return true
	}
	return false
}

func (r *Result) trouble(err error) {
	if r.Trouble == nil {
		r.Trouble = err
	}
}

func (r *Result) record(request *Request) {
	c := r.Builds[request.Build]
	if c == nil {
		c = &Counts{}
		r.Builds[request.Build] = c
	}
	r.Recorded++
	c.Reports++
	word, bit := request.Number/64, uint64(1)<<(request.Number%64)
	if missing := int(word) + 1 - len(r.seen); missing > 0 {
		r.seen = append(r.seen, make([]uint64, missing)...)
	}
	if r.seen[word]&bit == 0 {
		r.seen[word] |= bit
		r.IDs++
		c.IDs++
	}
}

// clone returns the result as it is now, without its builds.
func (r *Result) clone() *Result {
	c := *r
	c.Builds, c.seen = nil, nil
	c.Latency = stats.Heaps{}
	c.Latency.Merge(r.Latency)
	return &c
}

// Figures returns the recorded reports as a store would tell of them that has
// nothing else, without their heaps.
func (r *Result) Figures(on stats.Range) *stats.Figures {
	f := &stats.Figures{Range: on, Known: on}
	for b, c := range r.Builds {
		ids := stats.Distinct{IDs: c.IDs, Exceed: make([]int64, len(stats.HeapLimits())+1)}
		f.Builds = append(f.Builds, stats.BuildFigures{Build: b, Reports: c.Reports, Distinct: ids})
	}
	return f
}
