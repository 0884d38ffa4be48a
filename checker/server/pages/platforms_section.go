package pages

import (
	"cmp"

	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
)

// platformsSection shows operating systems and architectures with the versions on each.
func (b *builder) platformsSection() section {
	p := section{ID: "where", Title: "Platforms", Lead: []string{"The operating systems and architectures that instances run on, and the versions on each."}}
	p.addFigures(b.platformVersions())
	for _, one := range []struct{ table, title string }{{"os", "Operating systems"}, {"arch", "Architectures"}, {"platforms", "Platforms"}} {
		if f, t := b.tableFigure(one.table, one.title); f != nil {
			at := 1
			if one.table == "platforms" {
				f.Table, at = newColumnsView(t, stats.ColOS, stats.ColArch, stats.ColInstances, stats.ColShare, stats.ColMostUsed, stats.ColHeapP95, stats.ColReports), 2
			} else {
				f.Half = true
			}
			f.Table.addCharts(at, "", shareBars(t, firstColor))
			p.addFigures(f)
		}
	}
	return p
}

const maxPlatforms = 12

func (b *builder) platformVersions() *figure {
	f, t := b.tableFigure("platform_versions", "Versions on each platform")
	if f == nil {
		return nil
	}
	type mix struct {
		instances map[string]int64
		shares    map[string]float64
	}
	all, order, used := map[string]*mix{}, []string{}, map[string][]int64{}
	for r := range t.All() {
		platform, name := r.Text(stats.ColOS)+"/"+r.Text(stats.ColArch), b.series(r.Text(stats.ColVersion))
		if all[platform] == nil {
			all[platform] = &mix{map[string]int64{}, map[string]float64{}}
			order = append(order, platform)
		}
		all[platform].instances[name] += r.Number(stats.ColInstances)
		all[platform].shares[name] += r.Float(stats.ColShare)
		used[name] = []int64{}
	}
	names := b.presentSeries(used)
	g := &tableView{Caption: "Versions on each platform", Head: []columnHead{{"Platform", ""}, {"Instances", "n"}, {"", "g"}}}
	for _, platform := range order[:min(maxPlatforms, len(order))] {
		var parts []chart.Segment
		total := int64(0)
		for _, name := range names {
			if n := all[platform].instances[name]; n > 0 {
				total += n
				parts = append(parts, chart.Segment{Share: all[platform].shares[name], Class: cmp.Or(b.colors[name], "cx"), Title: name + ": " + countAndShare(n, all[platform].shares[name])})
			}
		}
		g.Rows = append(g.Rows, []tableCell{{Text: platform}, {Text: formatNumber(total), Class: "n"}, {Class: "g", Drawing: chart.StackedBar(parts)}})
	}
	f.Legend, f.ChartTable = b.legend(names), g
	return f
}
