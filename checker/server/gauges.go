package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"relcheck/checker/stats"
)

const (
	// maxLines is how many minor lines of a product have gauges of their own. All
	// else counts as [stats.Other]: callers can make up any version they like.
	maxLines = 50
	// gaugesAge is how old the gauges may become.
	gaugesAge = time.Minute
	// gaugesWait is how long a scrape waits for newer ones.
	gaugesWait = 5 * time.Second
)

// idGauges tells Prometheus how many distinct ids there are, by product and minor
// line. It reads them from the store once a minute at most.
type idGauges struct {
	server *Server
	desc   *prometheus.Desc

	mu   sync.Mutex
	read time.Time
	last map[string]map[string]window // by product and line
}

// window is how many distinct ids there were in some days.
type window struct{ today, yesterday, week int64 }

func (w window) plus(other window) window {
	return window{w.today + other.today, w.yesterday + other.yesterday, w.week + other.week}
}

func newIDGauges(s *Server) *idGauges {
	return &idGauges{server: s, desc: prometheus.NewDesc("relcheck_distinct_ids",
		fmt.Sprintf("Distinct ids that have reported, by product, minor line and window: the UTC day so far (today), the one before "+
			"(yesterday), or seven days up to today (7d). The %d most used lines have one of their own. An estimate with a standard error of %.1f %%.",
			maxLines, 100*stats.IDsError),
		[]string{"product", "line", "window"}, nil)}
}

// Describe implements prometheus.Collector.
func (g *idGauges) Describe(all chan<- *prometheus.Desc) { all <- g.desc }

// Collect implements prometheus.Collector.
func (g *idGauges) Collect(all chan<- prometheus.Metric) {
	for product, lines := range g.current(time.Now()) {
		for line, w := range lines {
			for name, n := range map[string]int64{"today": w.today, "yesterday": w.yesterday, "7d": w.week} {
				all <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(n), product, line, name)
			}
		}
	}
}

// current returns the figures as of the last minute. Where they cannot be read
// the last ones stand, for one product as for all.
func (g *idGauges) current(now time.Time) map[string]map[string]window {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.read) < gaugesAge {
		return g.last
	}
	g.read = now
	ctx, cancel := context.WithTimeout(context.Background(), gaugesWait)
	defer cancel()
	today := stats.DayOf(now)
	next := map[string]map[string]window{}
	for name := range g.server.snapshot.Load().products.values() {
		f, err := g.server.store.Figures(ctx, name, stats.Range{From: today, To: today}, func(stats.Build) bool { return true })
		if err != nil {
			g.server.log.Error("cannot read the figures for metrics; giving the last ones", "product", name, "err", err)
			next[name] = g.last[name]
			continue
		}
		next[name] = byLine(f)
	}
	g.last = next
	return next
}

// byLine sums up the ids of each minor line, and puts all but the most used ones
// together.
func byLine(f *stats.Figures) map[string]window {
	lines := map[string]window{}
	for i := range f.Builds {
		b := &f.Builds[i]
		line := cmp.Or(stats.Line(b.Version), stats.Other)
		lines[line] = lines[line].plus(window{b.Recent.Day, b.Recent.DayBefore, b.Recent.Week})
	}
	rest := lines[stats.Other]
	delete(lines, stats.Other)
	ranked := slices.SortedFunc(maps.Keys(lines), func(a, b string) int {
		return cmp.Or(cmp.Compare(lines[b].week, lines[a].week), cmp.Compare(a, b))
	})
	for _, line := range ranked[min(maxLines, len(ranked)):] {
		rest = rest.plus(lines[line])
		delete(lines, line)
	}
	if rest.week > 0 {
		lines[stats.Other] = rest
	}
	return lines
}
