package server

import "github.com/prometheus/client_golang/prometheus"

var (
	latestDesc = prometheus.NewDesc("relcheck_latest_release_info",
		"Always 1, with the tag of the latest release that a product offers. Products without a release are missing.", []string{"product", "tag"}, nil)
	latestDateDesc = prometheus.NewDesc("relcheck_latest_release_timestamp_seconds",
		"Date of the latest release that a product offers, in seconds since 1970.", []string{"product"}, nil)
)

// releaseGauges are the metrics of the latest releases.
type releaseGauges struct{ server *Server }

// Describe implements [prometheus.Collector].
func (g releaseGauges) Describe(descs chan<- *prometheus.Desc) {
	descs <- latestDesc
	descs <- latestDateDesc
}

// Collect implements [prometheus.Collector].
func (g releaseGauges) Collect(metrics chan<- prometheus.Metric) {
	for name, p := range g.server.snapshot.Load().products.all() {
		r := p.latest().release
		if r == nil {
			continue
		}
		metrics <- prometheus.MustNewConstMetric(latestDesc, prometheus.GaugeValue, 1, name, r.Tag)
		if !r.Date.IsZero() {
			metrics <- prometheus.MustNewConstMetric(latestDateDesc, prometheus.GaugeValue, float64(r.Date.Unix()), name)
		}
	}
}
