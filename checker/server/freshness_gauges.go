package server

import (
	"github.com/prometheus/client_golang/prometheus"
)

// freshnessGauges are the metrics of the last syncs with upstreams.
type freshnessGauges struct {
	server                  *Server
	succeeded, tried, stale *prometheus.Desc
}

func newFreshnessGauges(s *Server) *freshnessGauges {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"product", "upstream"}, nil)
	}
	return &freshnessGauges{s,
		desc("relcheck_upstream_last_success_timestamp_seconds", "Time of the last sync with an upstream that succeeded, in seconds since 1970, or 0."),
		desc("relcheck_upstream_last_attempt_timestamp_seconds", "Time of the last sync with an upstream, in seconds since 1970, or 0."),
		desc("relcheck_upstream_stale", "1 if the last sync with an upstream that succeeded is older than --stale-after, or there was none; otherwise 0."),
	}
}

// Describe implements [prometheus.Collector].
func (g *freshnessGauges) Describe(descs chan<- *prometheus.Desc) {
	descs <- g.succeeded
	descs <- g.tried
	descs <- g.stale
}

// Collect implements [prometheus.Collector].
func (g *freshnessGauges) Collect(metrics chan<- prometheus.Metric) {
	now := g.server.now()
	for name, p := range g.server.snapshot.Load().products.all() {
		for _, f := range p.Freshness(now, g.server.options.StaleAfter) {
			send := func(desc *prometheus.Desc, value float64) {
				metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, name, f.Upstream)
			}
			seconds, stale := func(unix int64) float64 { return max(0, float64(unix)) }, 0.0
			if f.Stale {
				stale = 1
			}
			send(g.succeeded, seconds(f.Succeeded.Unix()))
			send(g.tried, seconds(f.Tried.Unix()))
			send(g.stale, stale)
		}
	}
}
