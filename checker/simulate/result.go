package simulate

import (
	"cmp"
	"fmt"
	"time"

	"github.com/google/uuid"

	"relcheck/checker/stats/rollup"
)

// Result is the result of a load. Each request that was sent counts as answered, as
// failed or as given up.
type Result struct {
	Elapsed time.Duration
	Sent    int64    // number of requests
	Status  [6]int64 // responses by the first digit of their status
	Failed  int64    // requests without a valid response
	GivenUp int64    // requests whose response had not arrived when the run was canceled
	Unsent  int64    // requests that were due in an open loop while no connection was free

	Recorded   int64 // reports that the service has recorded
	Unrecorded int64 // reports that the service has not recorded because of a rate limit
	Checks     int64 // successful requests without an instance ID
	Instances  int64 // distinct instance IDs of the recorded reports
	// Builds counts the recorded reports by build.
	Builds map[rollup.Build]*Counts

	// Latency is the distribution of latencies in nanoseconds, with an error of up to 1 %.
	Latency    rollup.Heaps
	MaxLatency time.Duration
	// FirstError describes the first request that did not succeed.
	FirstError error

	seen []uint64 // bitmap of the numbers of the instances with a recorded report
}

// Counts are the recorded reports of a build and the instances that sent them.
type Counts struct{ Reports, Instances int64 }

func newResult() *Result { return &Result{Builds: map[rollup.Build]*Counts{}} }

// Succeeded returns the number of responses with a status of 200 to 299.
func (r *Result) Succeeded() int64 { return r.Status[2] }

// add counts a request, and reports whether it has recorded a report. A request that
// failed after the run was canceled counts as given up.
func (r *Result) add(request *Request, res response, err error, latency time.Duration, canceled bool) (recorded bool) {
	r.Sent++
	if err != nil {
		if canceled {
			r.GivenUp++
			return false
		}
		r.Failed++
		r.FirstError = cmp.Or(r.FirstError, err)
		return false
	}
	r.Status[min(res.status/100, len(r.Status)-1)]++
	r.Latency.Add(rollup.HeapBucket(int64(latency)), 1)
	r.MaxLatency = max(r.MaxLatency, latency)
	switch {
	case res.status < 200 || res.status > 299:
		r.FirstError = cmp.Or(r.FirstError, fmt.Errorf("status %d: %s", res.status, res.errorText))
	case request.ID == uuid.Nil:
		r.Checks++
	case res.notRecorded:
		r.Unrecorded++
	default:
		r.addRecorded(request)
		return true
	}
	return false
}

func (r *Result) addRecorded(request *Request) {
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
		r.Instances++
		c.Instances++
	}
}

// clone returns a copy without Builds.
func (r *Result) clone() *Result {
	c := *r
	c.Builds, c.seen = nil, nil
	c.Latency = rollup.Heaps{}
	c.Latency.Merge(r.Latency)
	return &c
}

// Figures returns the statistics of the recorded reports, like a store that contains
// only these, but without heap sizes.
func (r *Result) Figures(on rollup.Range) *rollup.Totals {
	f := &rollup.Totals{Range: on, Known: on}
	for b, c := range r.Builds {
		distinct := rollup.Distinct{Instances: c.Instances, Exceed: make([]int64, len(rollup.HeapLimits())+1)}
		f.Builds = append(f.Builds, rollup.BuildTotals{Build: b, Reports: c.Reports, Distinct: distinct})
	}
	return f
}
