package command

import (
	"context"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"relcheck/db"
	"relcheck/db/dbfile"
)

var (
	buildDesc = prometheus.NewDesc("relcheck_build_info", "Always 1, with the build of this server.", []string{"version", "commit", "go"}, nil)
	sizeDesc  = prometheus.NewDesc("relcheck_store_size_bytes", "Size of the store, without the write-ahead log of SQLite.", nil, nil)
	freeDesc  = prometheus.NewDesc("relcheck_disk_free_bytes", "Free space on the disk of a folder: that of the store, of hosted files, or of backups.", []string{"folder"}, nil)
	lastDesc  = prometheus.NewDesc("relcheck_report_last_timestamp_seconds",
		"Time of the newest report that the statistics contain, of all servers of the store, in seconds since 1970, or 0.", nil, nil)
)

// usageTimeout is how long a scrape waits for the store.
const usageTimeout = 5 * time.Second

// serveGauges are the metrics of the program, the store and its disks.
type serveGauges struct {
	store   *db.Store
	folders map[string]string // path by label
}

func newServeGauges(s *db.Store, o *serveOptions) serveGauges {
	g := serveGauges{s, map[string]string{}}
	if db.IsFile(o.db) {
		g.folders["store"] = filepath.Dir(o.db)
	}
	if o.files != "" {
		g.folders["files"] = o.files
	}
	if o.backups.Folder != "" {
		g.folders["backups"] = o.backups.Folder
	}
	return g
}

// Describe implements [prometheus.Collector].
func (g serveGauges) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{buildDesc, sizeDesc, freeDesc, lastDesc} {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (g serveGauges) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	b := thisBuild()
	gauge(buildDesc, 1, b.Version, b.Commit, b.Go)
	for label, folder := range g.folders {
		if free, _, known := dbfile.Space(folder); known {
			gauge(freeDesc, float64(free), label)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), usageTimeout)
	defer cancel()
	u, err := g.store.Usage(ctx)
	if err != nil { // the other metrics are still exported
		metrics <- prometheus.NewInvalidMetric(sizeDesc, err)
		return
	}
	gauge(sizeDesc, float64(u.Size))
	last := 0.0
	if !u.LastReport.IsZero() {
		last = float64(u.LastReport.Unix())
	}
	gauge(lastDesc, last)
}
