package server

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes is how many scrapes are answered at once; more get status 503.
const maxScrapes = 4

// metrics are what Prometheus is told. All counters that requests touch exist
// beforehand: to count is one atomic addition.
type metrics struct {
	registry *prometheus.Registry
	handler  http.Handler // of all scrapes, which it bounds
	requests *prometheus.CounterVec
	unrouted *routeCount

	recorded prometheus.Counter
	refused  map[string]prometheus.Counter // by the code of the error
	odd      prometheus.Counter            // refused for any other reason
	checks   prometheus.Counter
	commits  prometheus.Histogram
}

// refusals are the codes of the errors by which reports are refused.
var refusals = []string{"unknown_product", "invalid_json", "invalid_field", "incomplete_body", "too_large",
	"unsupported_type", "unsupported_encoding", "not_recorded", "busy", "disk_full", "other"}

func newMetrics(s *Server) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), refused: map[string]prometheus.Counter{}}
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "relcheck_http_requests_total", Help: "Requests by route and class of the answer's status."}, []string{"route", "class"})
	m.recorded = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "relcheck_reports_recorded_total", Help: "Reports that were recorded."})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "relcheck_reports_refused_total", Help: "Reports that were not recorded, by the code of the error that answered them."}, []string{"reason"})
	m.checks = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "relcheck_checks_total", Help: "Questions for the latest release that came without an id."})
	m.commits = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "relcheck_commit_duration_seconds", Help: "How long it took to commit a batch of reports, or to fail doing so.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}) // to 8 s: callers wait for 10
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.recorded, refused, m.checks, m.commits, newIDGauges(s))
	if s.options.Backups != nil {
		m.registry.MustRegister(ofBackups(s.options.Backups)...)
	}
	for _, reason := range refusals {
		m.refused[reason] = refused.WithLabelValues(reason)
	}
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes})
	m.odd = m.refused["other"]
	m.unrouted = m.route("none")
	s.store.OnCommit(func(took time.Duration) { m.commits.Observe(took.Seconds()) })
	return m
}

// ofBackups tells of backups. Where there is none yet, time and size are 0.
func ofBackups(b Backups) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "relcheck_backup_last_timestamp_seconds", Help: "When the last good backup was made, in seconds since 1970."}, func() float64 {
			at, _ := b.Last()
			if at.IsZero() {
				return 0
			}
			return float64(at.Unix())
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "relcheck_backup_last_size_bytes", Help: "The size of the last good backup."}, func() float64 {
			_, size := b.Last()
			return float64(size)
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "relcheck_backup_failures_total", Help: "Backups that have failed."}, func() float64 { return float64(b.Failures()) }),
	}
}

// refuse counts a report that was answered with an error.
func (m *metrics) refuse(err error) {
	counter, f := m.odd, (*failure)(nil)
	if errors.As(err, &f) && m.refused[f.code] != nil {
		counter = m.refused[f.code]
	}
	counter.Inc()
}

// tallied counts the reports that h refuses.
func (s *Server) tallied(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, id identity) error {
		err := h(w, r, id)
		if err != nil {
			s.metrics.refuse(err)
		}
		return err
	}
}

// routeCount holds the counters of one route by class of status.
type routeCount [6]prometheus.Counter

func (m *metrics) route(name string) *routeCount {
	c := new(routeCount)
	for class := 2; class < len(c); class++ {
		c[class] = m.requests.WithLabelValues(name, strconv.Itoa(class)+"xx")
	}
	return c
}

func (c *routeCount) add(status int) {
	if class := status / 100; class < len(c) && c[class] != nil {
		c[class].Inc()
	}
}

// statusWriters are reused: one is needed for every request.
var statusWriters = sync.Pool{New: func() any { return new(statusWriter) }}

// counting counts the requests that h answers. One that h leaves by a panic is
// answered with an error.
func (c *routeCount) counting(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusInternalServerError
		defer func() { c.add(status) }()
		s := statusWriters.Get().(*statusWriter)
		*s = statusWriter{w, http.StatusOK}
		h.ServeHTTP(s, r)
		status = s.status
		s.ResponseWriter = nil
		statusWriters.Put(s)
	})
}

// statusWriter takes down the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is how http.ResponseController finds what else w can do.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Register adds what others count to the metrics.
func (s *Server) Register(c ...prometheus.Collector) { s.metrics.registry.MustRegister(c...) }

// Metrics returns the handler that Prometheus scrapes, for an address that only
// it can reach: it asks for no token.
func (s *Server) Metrics() http.Handler { return s.metrics.handler }

// scrape answers GET /metrics.
func (s *Server) scrape(w http.ResponseWriter, r *http.Request, _ identity) error {
	s.metrics.handler.ServeHTTP(w, r)
	return nil
}
