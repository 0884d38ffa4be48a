package pages

import (
	"strings"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

// platformsSection shows operating systems and architectures with the versions on each.
func (b *builder) platformsSection() section {
	count, share, name := b.Counted()
	p := section{ID: "platforms", Title: "Platforms", Lead: []string{"The operating systems and architectures that " + name + " run on, and the versions on each."}}
	for _, one := range []struct{ table, title string }{{"os", "Operating systems"}, {"arch", "Architectures"}} {
		if f, t := b.emptyFigure(one.table, one.title); f != nil {
			f.ChartTable = newColumnsView(t, t.Columns[0], count, share).addCharts(1, "", shareBars(t, share, plain))
			p.addHalves(f)
		}
	}
	p.addFigures(b.platformVersions())
	if f, t := b.emptyFigure("platforms", "Platforms"); f != nil {
		f.ChartTable = newColumnsView(t, stats.ColOS, count, share, stats.ColMostUsed, stats.ColHeapP95, stats.ColReports).wideOnly(stats.ColMostUsed, stats.ColHeapP95, stats.ColReports)
		f.ChartTable.Head[0].Text = "Platform"
		at := 0
		for r := range t.All() {
			if at == len(f.ChartTable.Rows) {
				break
			}
			f.ChartTable.Rows[at][0].Text = platformName(r)
			at++
		}
		f.ChartTable.addCharts(1, "", shareBars(t, share, plain))
		p.addFigures(f)
	}
	return p
}

func platformName(r stats.Row) string { return r.Text(stats.ColOS) + "/" + r.Text(stats.ColArch) }

const maxPlatforms = 12

func (b *builder) platformVersions() *figure {
	f, t := b.tableFigure("platform_versions", "Versions on each platform")
	if f == nil {
		return nil
	}
	count, share, name := b.Counted()
	type mix struct {
		counts []int64
		shares []float64
	}
	series := len(b.series.names) + 1
	all, order, used := map[string]*mix{}, []string{}, make([]bool, series)
	for r := range t.All() {
		platform, i := platformName(r), b.series.index(r.Text(stats.ColVersion))
		if all[platform] == nil {
			all[platform] = &mix{make([]int64, series), make([]float64, series)}
			order = append(order, platform)
		}
		all[platform].counts[i] += r.Number(count)
		all[platform].shares[i] += r.Float(share)
		used[i] = true
	}
	g := &tableView{Caption: f.Title, Head: []columnHead{{"Platform", ""}, {headOf(t, count), "n"}, {"", "g"}}}
	for _, platform := range order[:min(maxPlatforms, len(order))] {
		var parts []chart.Segment
		total := int64(0)
		for i, n := range all[platform].counts {
			if share := all[platform].shares[i]; share > 0 {
				total += n
				parts = append(parts, chart.Segment{Share: share, Class: b.series.class(i), Title: b.series.name(i) + ": " + plural(n, strings.TrimSuffix(name, "s"), name) + " (" + formatShare(share) + ")"})
			}
		}
		g.Rows = append(g.Rows, []tableCell{{Text: platform}, {Text: formatNumber(total), Class: "n"}, {Class: "g", Drawing: chart.StackedBar(parts)}})
	}
	f.Legend, f.ChartTable = b.series.legend(func(i int) bool { return used[i] }), g.whole()
	return f
}
