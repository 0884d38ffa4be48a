package server

import (
	"cmp"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"relcheck/checker/server/ratelimit"
)

// maxScrapes is how many scrapes are answered at once; more get status 503.
const maxScrapes = 4

// metrics are the metrics for Prometheus. The counters that requests increment exist from
// the start, so that counting is one atomic addition.
type metrics struct {
	registry *prometheus.Registry
	handler  http.Handler // of scrapes, limited to maxScrapes
	requests *prometheus.CounterVec
	unrouted *routeCounter

	recorded prometheus.Counter
	refused  map[string]prometheus.Counter // by error code
	checks   prometheus.Counter
	commits  prometheus.Histogram

	rateLimited     [kinds]prometheus.Counter
	crossOrigin     [kinds]prometheus.Counter
	versionsLimited prometheus.Counter
	invalidVersions prometheus.Counter
	dialectFailures *prometheus.CounterVec
	loginsThrottled prometheus.Counter
	queriesTimedOut prometheus.Counter
}

// refusalCodes are the codes of the errors with which reports are refused.
var refusalCodes = []string{"unknown_product", "invalid_json", "invalid_field", "incomplete_body", "too_large",
	"unsupported_type", "unsupported_encoding", "not_recorded", "busy", "disk_full", "other"}

func newMetrics(s *Server) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), refused: map[string]prometheus.Counter{}}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newInstanceGauges(s), newFreshnessGauges(s), releaseGauges{s})
	m.requests = m.counters("relcheck_http_requests_total", "HTTP requests by route and status class.", "route", "class")
	m.recorded = m.counter("relcheck_reports_recorded_total", "Reports that were recorded.")
	refused := m.counters("relcheck_reports_refused_total", "Reports that were not recorded, by the code of the error in the response.", "reason")
	for _, code := range refusalCodes {
		m.refused[code] = refused.WithLabelValues(code)
	}
	m.gauge("relcheck_ready", "Whether reports can be recorded: 1 if GET /readyz returns status 200, otherwise 0.", func() float64 {
		if s.store.Ready() != nil {
			return 0
		}
		return 1
	})
	m.checks = m.counter("relcheck_checks_total", "Checks: requests for the latest release without an instance ID.")
	m.commits = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "relcheck_commit_duration_seconds", Help: "Time to commit a batch of reports, or to fail.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}) // up to 8 s: clients wait for 10 s
	m.registry.MustRegister(m.commits)
	s.store.OnCommit(func(d time.Duration) { m.commits.Observe(d.Seconds()) })
	m.unrouted = m.route("none")
	m.invalidVersions = m.counter("relcheck_path_versions_invalid_total", "Requests with /as/VERSION in their path whose VERSION is not a version.")
	m.dialectFailures = m.counters("relcheck_dialect_failures_total", "Answers that could not be rendered, by dialect.", "dialect")
	m.registerLimits(s)
	if s.options.Backups != nil {
		m.registerBackups(s.options.Backups)
	}
	if s.files != nil {
		m.registry.MustRegister(&fileGauges{s})
	}
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes})
	return m
}

func (m *metrics) registerLimits(s *Server) {
	limited := m.counters("relcheck_rate_limited_total",
		"Reports and checks that were answered but not recorded because the client IP was over the rate limit.", "kind")
	crossOrigin := m.counters("relcheck_cross_origin_total",
		"Reports and checks that were answered but not recorded because a web page of an origin that the product does not allow sent them.", "kind")
	for kind, name := range [kinds]string{kindReport: "report", kindCheck: "check"} {
		m.rateLimited[kind], m.crossOrigin[kind] = limited.WithLabelValues(name), crossOrigin.WithLabelValues(name)
	}
	m.versionsLimited = m.counter("relcheck_versions_limited_total",
		"Reports and checks that were counted as version other because the client exceeded its daily limit of unreleased versions.")
	m.loginsThrottled = m.counter("relcheck_logins_throttled_total", "Invalid tokens from client IPs that had sent too many of them.")
	m.queriesTimedOut = m.counter("relcheck_queries_timed_out_total", "Requests that were answered with status 503 because the store took too long.")
	m.gauge("relcheck_rate_limit_clients", "Client IPs and IPv6 networks that the rate limiter remembers.", func() float64 {
		if s.reports == nil {
			return 0
		}
		return float64(s.reports.Len())
	})
	m.gauge("relcheck_rate_limit_clients_limit", "Maximum number of client IPs and IPv6 networks that the rate limiter remembers.", func() float64 { return maxClients })
	m.gauge("relcheck_versions_per_client_limit", "Maximum number of builds of unreleased versions per IPv4 address or IPv6 /64, product and day.", func() float64 { return float64(ratelimit.VersionsPerClient) })
	m.gauge("relcheck_reports_waiting", "Reports that wait for the next commit.", func() float64 { return float64(s.store.Waiting()) })
	m.gauge("relcheck_reports_waiting_limit", "Maximum number of reports that wait for the next commit; more are refused.", func() float64 { return float64(s.store.MaxWaiting()) })
	m.counterFunc("relcheck_counted_as_other_total",
		"Reports and checks that were counted as version other: their version is unreleased, and there were too many of those on the day, in all or of one client IP.",
		func() float64 { return float64(s.store.Others()) })
}

// registerBackups registers the metrics of backups. Before the first backup, its time and
// size are 0.
func (m *metrics) registerBackups(b Backups) {
	m.gauge("relcheck_backup_last_timestamp_seconds", "Time of the last good backup, in seconds since 1970.", func() float64 {
		at, _ := b.Last()
		if at.IsZero() {
			return 0
		}
		return float64(at.Unix())
	})
	m.gauge("relcheck_backup_last_size_bytes", "Size of the last good backup.", func() float64 {
		_, size := b.Last()
		return float64(size)
	})
	m.counterFunc("relcheck_backup_failures_total", "Backups that have failed.", func() float64 { return float64(b.Failures()) })
}

func (m *metrics) counter(name, help string) prometheus.Counter {
	return m.counters(name, help).WithLabelValues()
}

func (m *metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *metrics) counterFunc(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
}

func (m *metrics) gauge(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

// countedReport is report. It counts refused reports.
func (s *Server) countedReport(w http.ResponseWriter, r *http.Request, c *call) error {
	err := s.report(w, r, c)
	if err != nil {
		cmp.Or(s.metrics.refused[failureOf(err).code], s.metrics.refused["other"]).Inc()
	}
	return err
}

// routeCounter holds the counters of a route, by status class.
type routeCounter [6]prometheus.Counter

func (m *metrics) route(name string) *routeCounter {
	c := new(routeCounter)
	for class := 2; class < len(c); class++ {
		c[class] = m.requests.WithLabelValues(name, strconv.Itoa(class)+"xx")
	}
	return c
}

func (c *routeCounter) add(status int) {
	if class := status / 100; class < len(c) && c[class] != nil {
		c[class].Inc()
	}
}

// statusWriters are reused because each request needs one.
var statusWriters = sync.Pool{New: func() any { return new(statusWriter) }}

// wrap counts the requests to h.
func (c *routeCounter) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.count(w, func(w http.ResponseWriter) { h.ServeHTTP(w, r) })
	})
}

// count counts the request that f answers. A panic of f counts as status 500, with which it
// will be answered.
func (c *routeCounter) count(w http.ResponseWriter, f func(http.ResponseWriter)) {
	status := http.StatusInternalServerError
	defer func() { c.add(status) }()
	s := statusWriters.Get().(*statusWriter)
	*s = statusWriter{w, http.StatusOK}
	f(s)
	status = s.status
	s.ResponseWriter = nil
	statusWriters.Put(s)
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// ReadFrom lets the kernel send files. See package inbound.
func (w *statusWriter) ReadFrom(r io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, r) }

// Unwrap supports [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Register adds the metrics of other packages.
func (s *Server) Register(c ...prometheus.Collector) { s.metrics.registry.MustRegister(c...) }

// Metrics returns a handler of scrapes that requires no token, for an address that only
// Prometheus can reach.
func (s *Server) Metrics() http.Handler { return s.metrics.handler }

func (s *Server) scrape(w http.ResponseWriter, r *http.Request, _ identity) error {
	s.metrics.handler.ServeHTTP(w, r)
	return nil
}
