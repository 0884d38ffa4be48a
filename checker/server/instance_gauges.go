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

// instanceGauges exports the numbers of installations and distinct instances by product and
// minor line. It reads them from the store at most once per gaugesTTL.
type instanceGauges struct {
	server        *Server
	desc          *prometheus.Desc
	installations *prometheus.Desc

	mu   sync.Mutex
	read time.Time
	last map[string]map[string]lineCounts // by product and line
}

// lineCounts has the counts of the builds of a minor line.
type lineCounts struct {
	rollup.Recent
	installations [2]int64 // of today and yesterday
}

func (c *lineCounts) add(b *rollup.BuildTotals, today rollup.Day) {
	c.addCounts(lineCounts{Recent: b.Recent})
	for _, n := range b.Installations {
		if ago := today - n.Day; ago == 0 || ago == 1 {
			c.installations[ago] += n.Daily
		}
	}
}

func (c *lineCounts) addCounts(n lineCounts) {
	c.Day, c.DayBefore, c.Week = c.Day+n.Day, c.DayBefore+n.DayBefore, c.Week+n.Week
	c.installations[0] += n.installations[0]
	c.installations[1] += n.installations[1]
}

// compare orders by use.
func (c lineCounts) compare(other lineCounts) int {
	return cmp.Or(cmp.Compare(c.installations[0]+c.installations[1], other.installations[0]+other.installations[1]), cmp.Compare(c.Week, other.Week))
}

func newInstanceGauges(s *Server) *instanceGauges {
	return &instanceGauges{server: s, desc: prometheus.NewDesc("relcheck_distinct_instances",
		fmt.Sprintf("Distinct instances that have reported, by product, minor line and window: the UTC day so far (today), the day before "+
			"(yesterday), or the seven days up to today (7d). The %d most used lines are listed, the others count as line other. An estimate with a standard error of %.1f %%.",
			maxLines, 100*rollup.InstancesError),
		[]string{"product", "line", "window"}, nil),
		installations: prometheus.NewDesc("relcheck_installations",
			"Installations that have reported, by product, minor line and window: the UTC day so far (today), or the day before (yesterday). "+
				"Only programs that remember the day of their last answer are counted; others count as distinct instances.",
			[]string{"product", "line", "window"}, nil)}
}

// Describe implements [prometheus.Collector].
func (g *instanceGauges) Describe(descs chan<- *prometheus.Desc) {
	descs <- g.desc
	descs <- g.installations
}

// Collect implements [prometheus.Collector].
func (g *instanceGauges) Collect(metrics chan<- prometheus.Metric) {
	for product, lines := range g.current(time.Now()) {
		for line, c := range lines {
			for window, n := range map[string]int64{"today": c.Day, "yesterday": c.DayBefore, "7d": c.Week} {
				metrics <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(n), product, line, window)
			}
			if c.installations == [2]int64{} {
				continue
			}
			for ago, window := range []string{"today", "yesterday"} {
				metrics <- prometheus.MustNewConstMetric(g.installations, prometheus.GaugeValue, float64(c.installations[ago]), product, line, window)
			}
		}
	}
}

// current returns the counts, which are at most gaugesTTL old. If the counts of a
// product cannot be read, it keeps the last ones.
func (g *instanceGauges) current(now time.Time) map[string]map[string]lineCounts {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.read) < gaugesTTL {
		return g.last
	}
	g.read = now
	ctx, cancel := context.WithTimeout(context.Background(), gaugesTimeout)
	defer cancel()
	today := rollup.DayOf(now)
	next := map[string]map[string]lineCounts{}
	for name, p := range g.server.snapshot.Load().products.all() {
		f, err := g.server.store.TotalsAt(ctx, name, rollup.LocalSite, rollup.Range{From: today, To: today}, func(rollup.Build) bool { return true })
		if err != nil {
			g.server.log.Error("cannot read statistics for metrics; keeping the last ones", "product", name, "err", err)
			next[name] = g.last[name]
			continue
		}
		next[name] = countsByLine(f, stats.NewLines(&p.Product, p.releases))
	}
	g.last = next
	return next
}

// countsByLine adds up the counts of each minor line, and of all lines but the most used
// ones. The totals are of today.
func countsByLine(f *rollup.Totals, names stats.Lines) map[string]lineCounts {
	lines := map[string]lineCounts{}
	for i := range f.Builds {
		line := cmp.Or(names.Of(f.Builds[i].Version), rollup.Other)
		sum := lines[line]
		sum.add(&f.Builds[i], f.Range.To)
		lines[line] = sum
	}
	ranked := slices.SortedFunc(maps.Keys(lines), func(a, b string) int {
		return cmp.Or(lines[b].compare(lines[a]), cmp.Compare(a, b))
	})
	ranked = slices.DeleteFunc(ranked, func(line string) bool { return line == rollup.Other })
	for _, line := range ranked[min(maxLines, len(ranked)):] {
		other := lines[rollup.Other]
		other.addCounts(lines[line])
		lines[rollup.Other] = other
		delete(lines, line)
	}
	if lines[rollup.Other] == (lineCounts{}) {
		delete(lines, rollup.Other)
	}
	return lines
}
