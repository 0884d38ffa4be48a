package server

import (
	"hash/maphash"
	"net/http"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
)

// maxSources is for how many client IPs and networks it is known how much they send.
// That takes some 5 MB.
const maxSources = 100_000

// network is a size of network whose clients share a limit.
type network struct {
	bits   int
	rate   int // times the limit of one client IP
	places int // builds of unreleased versions, of a product and day
}

// A provider gives one customer an IPv4 address, but anything from a /64 to a /48 of
// IPv6. An IPv6 client therefore counts in all three networks that it is in, and all
// have to have room for it.
var (
	ipv4Networks = []network{{32, 1, 20}}
	ipv6Networks = []network{{64, 1, 20}, {56, 4, 30}, {48, 16, 40}}
)

// networksOf returns the sizes of network that count for a client IP.
func networksOf(a netip.Addr) []network {
	if a.Is6() {
		return ipv6Networks
	}
	return ipv4Networks
}

// maxNetworks is how many networks a client IP is in at most.
const maxNetworks = 3

// hash returns a hash of the network of this size that a client IP is in.
func (n network) hash(key maphash.Seed, a netip.Addr) uint64 {
	var text [17]byte
	all := a.As16()
	if a.Is6() {
		copy(text[:], all[:n.bits/8])
	} else {
		copy(text[:], all[:])
	}
	text[16] = byte(n.bits)
	return maphash.Bytes(key, text[:])
}

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
	foreign [expenses]prometheus.Counter // from web pages
	noPlace prometheus.Counter
	slowed  prometheus.Counter // tokens that were not valid, from sources with too many of them
	cutOff  prometheus.Counter
}

func newLimits(s *Server, r prometheus.Registerer) *limits {
	over := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "relcheck_over_budget_total",
		Help: "Reports, and checks without an id, that were answered but neither recorded nor counted: their source had sent too many."}, []string{"kind"})
	foreign := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "relcheck_cross_origin_total",
		Help: "Reports, and checks without an instance ID, that were answered but not recorded: a web page sent them whose origin the product does not name."}, []string{"kind"})
	l := &limits{
		over:    [expenses]prometheus.Counter{over.WithLabelValues("report"), over.WithLabelValues("check")},
		foreign: [expenses]prometheus.Counter{foreign.WithLabelValues("report"), foreign.WithLabelValues("check")},
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
	r.MustRegister(over, foreign, l.noPlace, l.slowed, l.cutOff,
		gauge("relcheck_sources", "Client IPs, and networks of IPv6, for which it is known how much they have sent.", func() int {
			if l.sources == nil {
				return 0
			}
			return l.sources.sources()
		}),
		gauge("relcheck_sources_limit", "How many sources that is known of at most.", func() int { return maxSources }),
		gauge("relcheck_places_per_source_limit", "How many builds of unreleased versions an IPv4 address or a /64 of IPv6 may report, of a product and day.", func() int { return ipv4Networks[0].places }),
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

// admitted reports whether a report or a check is recorded: not if it comes from a web
// page of another origin, or if its client IP has sent too many. The header of the
// answer says if it is not.
func (s *Server) admitted(w http.ResponseWriter, r *http.Request, p *product, kind int) bool {
	switch {
	case s.fromOtherPage(r, p):
		s.limits.foreign[kind].Inc()
	case s.limits.sources != nil && !s.limits.sources.take(s.source(r)):
		s.limits.over[kind].Inc()
	default:
		return true
	}
	w.Header()["Relcheck-Recorded"] = notRecordedHeader
	return false
}
