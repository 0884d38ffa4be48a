package pages

import (
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
	count, share, _ := b.Counted()
	parts, used := map[string][]chart.Segment{}, make([]bool, len(b.series.names)+1)
	for platform, all := range b.versionsOn(t) {
		for i, n := range all {
			if n.share > 0 {
				parts[platform] = append(parts[platform], chart.Segment{Share: n.share, Class: b.series.class(i), Title: b.series.name(i) + ": " + b.countAndShare(n.count, n.share)})
				used[i] = true
			}
		}
	}
	g := &tableView{Caption: f.Title, Head: []columnHead{{"Platform", ""}, {count.Head, "n"}, {"", "g"}}}
	for r := range b.Table("platforms").All() {
		if platform := platformName(r); r.Float(share) > 0 && len(g.Rows) < maxPlatforms {
			g.Rows = append(g.Rows, []tableCell{{Text: platform}, {Text: show(r, count), Class: "n"}, {Class: "g", Drawing: chart.StackedBar(parts[platform])}})
		}
	}
	f.Legend, f.ChartTable = b.series.legend(func(i int) bool { return used[i] }), g.whole()
	return f
}

// counted is a number of what the view counts, with its share of a platform's.
type counted struct{ count, share float64 }

// versionsOn returns the counts of each series by platform.
func (b *builder) versionsOn(t *stats.Table) map[string][]counted {
	count, share, _ := b.Counted()
	all := map[string][]counted{}
	for r := range t.All() {
		platform := platformName(r)
		if all[platform] == nil {
			all[platform] = make([]counted, len(b.series.names)+1)
		}
		n := &all[platform][b.series.index(r.Text(stats.ColVersion))]
		n.count, n.share = n.count+r.Count(count), n.share+r.Float(share)
	}
	return all
}
