package server

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
)

var (
	filesDesc = prometheus.NewDesc("relcheck_files", "Hosted files of releases by state: served, damaged, changed upstream, or missing in the folder.", []string{"state"}, nil)
	bytesDesc = prometheus.NewDesc("relcheck_files_bytes", "Size of the served files of releases. Content of several releases counts once.", nil, nil)
	unverDesc = prometheus.NewDesc("relcheck_files_unverified", "Served files of releases without a checksum upstream.", nil, nil)
	fetchDesc = prometheus.NewDesc("relcheck_file_fetches_total", "Files that were fetched because a client requested them.", []string{"result"}, nil)
)

// fileGauges are the metrics of hosted files. Each scrape counts the files.
type fileGauges struct{ s *Server }

func (g *fileGauges) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{filesDesc, bytesDesc, unverDesc, fetchDesc} {
		descriptions <- d
	}
}

func (g *fileGauges) Collect(metrics chan<- prometheus.Metric) {
	states := map[string]int{"served": 0, "damaged": 0, "changed": 0, "missing": 0}
	unverified, sizes := 0, map[string]int64{}
	for _, p := range g.s.snapshot.Load().products.all() {
		for _, r := range p.releases {
			if len(r.Hosted) == 0 {
				continue
			}
			for _, f := range r.NamedFiles(&p.Product) {
				h, state := f.Hosted, g.s.hostedState(&f)
				if h == nil {
					continue
				}
				states[state]++
				if state == "served" {
					sizes[h.SHA256] = h.Size
					if !h.Verified {
						unverified++
					}
				}
			}
		}
	}
	bytes := int64(0)
	for _, size := range sizes {
		bytes += size
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for state, n := range states {
		gauge(filesDesc, float64(n), state)
	}
	gauge(bytesDesc, float64(bytes))
	gauge(unverDesc, float64(unverified))
	if g.s.fetcher != nil {
		fetched, failed := g.s.fetcher.Counts()
		metrics <- prometheus.MustNewConstMetric(fetchDesc, prometheus.CounterValue, float64(fetched), "fetched")
		metrics <- prometheus.MustNewConstMetric(fetchDesc, prometheus.CounterValue, float64(failed), "failed")
	}
}

// hostedState returns "served", or the reason that a file is not served.
func (s *Server) hostedState(f *catalog.NamedFile) string {
	var problem error
	if f.Hosted != nil {
		problem = s.files.Problem(f.Hosted.SHA256)
	}
	switch {
	case f.State == catalog.FileDamaged, errors.Is(problem, mirror.ErrDamaged):
		return "damaged"
	case f.State == catalog.FileChanged:
		return "changed"
	case f.State == catalog.NotHosted, problem != nil:
		return "missing"
	}
	return "served"
}
