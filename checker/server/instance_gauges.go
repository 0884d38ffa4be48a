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
	"relcheck/checker/stats/rollup"
)

const (
	// maxLines is how many minor lines of a product have gauges of their own. The others
	// count as [rollup.Other], because clients can invent any number of versions.
	maxLines = 50
	// gaugesTTL is how long the gauges are reused.
	gaugesTTL = time.Minute
	// gaugesTimeout is how long a scrape waits for new ones.
	gaugesTimeout = 5 * time.Second
)

// instanceGauges exports the number of distinct instances by product and minor line. It
// reads them from the store at most once per gaugesTTL.
type instanceGauges struct {
	server *Server
	desc   *prometheus.Desc

	mu   sync.Mutex
	read time.Time
	last map[string]map[string]rollup.Recent // by product and line
}

func newInstanceGauges(s *Server) *instanceGauges {
	return &instanceGauges{server: s, desc: prometheus.NewDesc("relcheck_distinct_instances",
		fmt.Sprintf("Distinct instances that have reported, by product, minor line and window: the UTC day so far (today), the day before "+
			"(yesterday), or the seven days up to today (7d). The %d most used lines are listed, the others count as line other. An estimate with a standard error of %.1f %%.",
			maxLines, 100*rollup.InstancesError),
		[]string{"product", "line", "window"}, nil)}
}

// Describe implements [prometheus.Collector].
func (g *instanceGauges) Describe(descs chan<- *prometheus.Desc) { descs <- g.desc }

// Collect implements [prometheus.Collector].
func (g *instanceGauges) Collect(metrics chan<- prometheus.Metric) {
	for product, lines := range g.current(time.Now()) {
		for line, c := range lines {
			for window, n := range map[string]int64{"today": c.Day, "yesterday": c.DayBefore, "7d": c.Week} {
				metrics <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(n), product, line, window)
			}
		}
	}
}

// current returns the counts, which are at most gaugesTTL old. If the counts of a
// product cannot be read, it keeps the last ones.
func (g *instanceGauges) current(now time.Time) map[string]map[string]rollup.Recent {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.read) < gaugesTTL {
		return g.last
	}
	g.read = now
	ctx, cancel := context.WithTimeout(context.Background(), gaugesTimeout)
	defer cancel()
	today := rollup.DayOf(now)
	next := map[string]map[string]rollup.Recent{}
	for name, p := range g.server.snapshot.Load().products.all() {
		f, err := g.server.store.Totals(ctx, name, rollup.Range{From: today, To: today}, func(rollup.Build) bool { return true })
		if err != nil {
			g.server.log.Error("cannot read statistics for metrics; keeping the last ones", "product", name, "err", err)
			next[name] = g.last[name]
			continue
		}
		next[name] = instancesByLine(f, stats.NewLines(&p.Product, p.releases))
	}
	g.last = next
	return next
}

// instancesByLine adds up the instances of each minor line, and of all lines but the most
// used ones.
func instancesByLine(f *rollup.Totals, names stats.Lines) map[string]rollup.Recent {
	lines := map[string]rollup.Recent{}
	add := func(line string, n rollup.Recent) {
		sum := lines[line]
		lines[line] = rollup.Recent{Day: sum.Day + n.Day, DayBefore: sum.DayBefore + n.DayBefore, Week: sum.Week + n.Week}
	}
	for i := range f.Builds {
		add(cmp.Or(names.Of(f.Builds[i].Version), rollup.Other), f.Builds[i].Recent)
	}
	ranked := slices.SortedFunc(maps.Keys(lines), func(a, b string) int {
		return cmp.Or(cmp.Compare(lines[b].Week, lines[a].Week), cmp.Compare(a, b))
	})
	ranked = slices.DeleteFunc(ranked, func(line string) bool { return line == rollup.Other })
	for _, line := range ranked[min(maxLines, len(ranked)):] {
		add(rollup.Other, lines[line])
		delete(lines, line)
	}
	if lines[rollup.Other].Week == 0 {
		delete(lines, rollup.Other)
	}
	return lines
}
