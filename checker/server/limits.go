package server

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// maxSources is of how many sources at once it is known how much they send. That
// takes some 5 MB.
const maxSources = 100_000

// What a source's budget is spent on.
const (
	aReport = iota // one that would be recorded
	aCheck         // a question without an id that would be counted
	expenses
)

// limits is what the operator allows each source, and what became of what went
// beyond that or took too long.
type limits struct {
	sources *budgets // nil without a limit
	places  *places  // the same

	over    [expenses]prometheus.Counter
	noPlace prometheus.Counter
	slowed  prometheus.Counter // tokens that were not valid, from sources with too many of them
	cutOff  prometheus.Counter
}

func newLimits(s *Server, r prometheus.Registerer) *limits {
	over := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "relcheck_over_budget_total",
		Help: "Reports, and checks without an id, that were answered but neither recorded nor counted: their source had sent too many."}, []string{"kind"})
	l := &limits{
		over: [expenses]prometheus.Counter{over.WithLabelValues("report"), over.WithLabelValues("check")},
		noPlace: prometheus.NewCounter(prometheus.CounterOpts{Name: "relcheck_over_places_total",
			Help: "Reports and checks that were counted under the version other, for their source had brought too many builds of versions that are no release on the day."}),
		slowed: prometheus.NewCounter(prometheus.CounterOpts{Name: "relcheck_sign_in_slowed_total",
			Help: "Tokens that were not valid, from sources that had tried too many of them."}),
		cutOff: prometheus.NewCounter(prometheus.CounterOpts{Name: "relcheck_queries_cut_off_total",
			Help: "Requests that were answered with status 503, for what they asked of the store took too long."}),
	}
	if s.options.SourceRate > 0 {
		l.sources, l.places = newBudgets(s.options.SourceRate, maxSources), new(places)
	}
	r.MustRegister(over, l.noPlace, l.slowed, l.cutOff,
		gauge("relcheck_sources", "Sources of which it is known how much they have sent.", func() int {
			if l.sources == nil {
				return 0
			}
			return l.sources.sources()
		}),
		gauge("relcheck_sources_limit", "How many sources that is known of at most.", func() int { return maxSources }),
		gauge("relcheck_places_per_source_limit", "How many builds of versions that are no release each source may bring, a product and day.", func() int { return placesEach }),
		gauge("relcheck_reports_waiting", "Reports that wait for the next commit.", s.store.Waiting),
		gauge("relcheck_reports_waiting_limit", "How many reports wait at most; more are refused.", s.store.MaxWaiting),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "relcheck_counted_as_other_total",
			Help: "Reports and checks that were counted under the version other: theirs is no release, and there were too many of those on the day, of all or of one source."},
			func() float64 { return float64(s.store.Others()) }))
	return l
}

func gauge(name, help string, f func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(f()) })
}

// notRecordedHeader says that a report was answered only.
var notRecordedHeader = []string{"no"}

// spend takes something from the budget of a request's source. What there is no
// budget for is answered all the same, with a header that says so.
func (s *Server) spend(w http.ResponseWriter, r *http.Request, on int) bool {
	if s.limits.sources == nil || s.limits.sources.take(s.source(r)) {
		return true
	}
	s.limits.over[on].Inc()
	w.Header()["Relcheck-Recorded"] = notRecordedHeader
	return false
}
