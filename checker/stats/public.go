package stats

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// Public returns what everyone may be shown of the view. Every count of ids in
// it is rounded down to a multiple of the threshold, so that no difference of
// two tells of fewer ids; what is under it is added up as other, or left out. It
// has fewer tables, and none at all when its query is not of [ParsePublicQuery].
// That hides people from those who read, not from those who also send: whoever
// fills a cell up with reports of his own, until its count leaps, learns how many
// others are in it.
//
// A version that is not a release of the catalog counts as other, because it may
// name a person or a machine. The view holds no heaps.
func (v *View) Public(threshold int64) *View {
	public := *v
	public.threshold = max(1, threshold)
	public.tables = nil
	public.used, public.hosts, public.ids = nil, nil, 0
	public.count(v.publicBuilds())
	if v.isPublic() {
		public.tables = publicDefinitions
	}
	public.AsOf = time.Time{} // of one report
	public.Known = public.publiclyKnown()
	public.known = public.Known
	public.Query.Below, public.Query.Above, public.Query.Compare = "", 0, [2]string{}
	return &public
}

// publicBuilds returns the builds without the versions and figures that everyone
// may not see.
func (v *View) publicBuilds() []rollup.BuildTotals {
	all := make([]rollup.BuildTotals, len(v.builds))
	for i, b := range v.builds {
		all[i] = *b.BuildTotals
		all[i].Heaps, all[i].Exceed = rollup.Heaps{}, nil
		if v.published.byKey[checker.Canonical(b.Version)] == nil {
			all[i].Version = rollup.Other
		}
	}
	return all
}

// isPublic tells whether the query is one that everyone may ask.
func (v *View) isPublic() bool {
	q := v.Query
	return q.Filter == Filter{} && q.To == v.Today-1 && slices.Contains(publicDays, q.Range.Days())
}

// publiclyKnown are the days that something is known of, as far as everyone may
// see: from the first week on that counts any ids, or else the last seven. The
// first report of all may be that of a single id.
func (v *View) publiclyKnown() rollup.Range {
	if v.rounded(v.ids) == 0 {
		return rollup.Range{From: 1, To: 0}
	}
	all := *v
	all.known = v.Query.Range
	for _, week := range all.perPeriod(rollup.OneWeek) {
		if v.rounded(week.Instances) > 0 {
			return rollup.Range{From: week.Day, To: v.Query.To}
		}
	}
	return v.Query.Last(7)
}

// rounded is a count of ids as everyone may see it.
func (v *View) rounded(ids int64) int64 { return ids - ids%v.threshold }

// rough ends notes about counts that are rounded.
const rough = ", rounded down; few of a kind are added up as other, or left out"

var publicDefinitions = []definition{
	{"summary", "Summary", "Distinct instances seen in these days, and in as many before them" + rough,
		[]Column{ColPeriod, ColFrom, ColTo, ColInstances, ColBefore, ColChange}, (*View).publicSummary},
	{"weekly", "By week", "Distinct instances seen from Monday to Sunday, in whole weeks of the range" + rough,
		[]Column{ColFrom, ColTo, ColInstances}, (*View).publicWeekly},
	{"adoption", "Adoption", "Distinct instances seen in the week from that Monday, and their share of all of that week" + rough,
		[]Column{ColDay, ColVersion, ColInstances, ColShare}, (*View).publicAdoption},
	{"lines", "Minor lines", "Distinct instances seen in the range, by minor line" + rough,
		[]Column{ColLine, ColInstances, ColShare, ColLatest}, (*View).publicLines},
	{"latest", "On the latest", "Distinct instances seen in the range that run the latest release, its line, or what is newer; the line has the release among it" + rough,
		[]Column{ColWhat, ColVersion, ColInstances, ColShare}, (*View).publicLatest},
	{"versions", "Versions", "Distinct instances seen in the range" + rough,
		[]Column{ColVersion, ColReleased, ColInstances, ColShare, ColBehind, ColDaysBehind}, (*View).publicVersions},
	{"behind", "Releases behind", "Distinct instances seen in the range, by how many stable releases are newer than theirs" + rough,
		[]Column{ColReleases, ColInstances, ColShare}, (*View).publicBehind},
	{"platforms", "Platforms", "Distinct instances seen in the range" + rough,
		[]Column{ColOS, ColArch, ColInstances, ColShare}, (*View).publicPlatforms},
	{"os", "Operating systems", "Distinct instances seen in the range" + rough,
		[]Column{ColOS, ColInstances, ColShare}, (*View).publicOS},
	{"arch", "Architectures", "Distinct instances seen in the range" + rough,
		[]Column{ColArch, ColInstances, ColShare}, (*View).publicArch},
}

// cell is a row that counts ids: what comes before their number, and what comes
// after their share.
type cell struct {
	name  []any
	ids   int64
	after []any
	other bool // there is nothing to tell it apart by
}

// publish adds a row for each cell that is large enough, and one for all others
// together. It returns what they add up to.
func (v *View) publish(t *Table, rest cell, cells []cell) (total int64) {
	var shown []cell
	for _, c := range cells {
		if c.other || c.ids < v.threshold {
			rest.ids += c.ids
		} else {
			shown = append(shown, c)
		}
	}
	if rest.ids >= v.threshold {
		shown = append(shown, rest)
	}
	for _, c := range shown {
		total += v.rounded(c.ids)
	}
	for _, c := range shown {
		ids := v.rounded(c.ids)
		row := append(slices.Clone(c.name), ids, share(ids, total))
		t.row(append(row, c.after...)...)
	}
	return total
}

func (v *View) publicSummary(t *Table) {
	for _, s := range v.stretches()[1:] {
		ids, before := v.rounded(s.ids), v.rounded(s.before)
		known := before > 0 && v.hasBefore(s.Range)
		t.row(s.name, s.From, s.To, ids, orNil(before, known), orNil(float64(ids)/float64(before)-1, known))
	}
}

func (v *View) publicWeekly(t *Table) {
	for _, c := range v.perPeriod(rollup.OneWeek) {
		t.row(c.Day, rollup.Period{Span: rollup.OneWeek, Day: c.Day}.Range().To, v.rounded(c.Instances))
	}
}

func (v *View) publicAdoption(t *Table) {
	weeks := v.periods(rollup.OneWeek)
	for i, ids := range v.versionsBy(rollup.OneWeek, weeks) {
		var cells []cell
		for place, n := range ids {
			name := v.used[place].name
			cells = append(cells, cell{name: []any{weeks[i], name}, ids: n, other: name == rollup.Other})
		}
		v.publish(t, cell{name: []any{weeks[i], rollup.Other}}, cells)
	}
}

func (v *View) publicLines(t *Table) {
	var cells []cell
	for _, l := range v.minorLines() {
		cells = append(cells, cell{[]any{l.name}, l.ids, []any{v.isLatest(l.name)}, l.name == rollup.Other})
	}
	v.publish(t, cell{name: []any{rollup.Other}, after: []any{v.isLatest(rollup.Other)}}, cells)
}

// publicLatest has the latest release beside the line that it is among, so that
// it does not count towards the whole.
func (v *View) publicLatest(t *Table) {
	r := v.recency()
	var parts Table
	total := v.publish(&parts, cell{name: []any{rollup.Other, nil}}, []cell{
		{name: []any{LatestLine, Line(v.Latest)}, ids: r.line},
		{name: []any{Older, nil}, ids: r.older},
		{name: []any{Unknown, nil}, ids: r.unknown},
	})
	if latest := v.rounded(r.latest); latest > 0 {
		t.row(LatestRelease, v.Latest, latest, share(latest, total))
	}
	t.Rows = append(t.Rows, parts.Rows...)
}

func (v *View) publicVersions(t *Table) {
	var cells []cell
	for _, one := range v.used {
		releases, days := v.behindOf(one)
		cells = append(cells, cell{[]any{one.name, one.release.released()}, one.ids, []any{releases, days}, one.name == rollup.Other})
	}
	v.publish(t, cell{name: []any{rollup.Other, nil}, after: []any{nil, nil}}, cells)
}

// publicBehind adds the few of a kind to those that nothing is known of.
func (v *View) publicBehind(t *Table) {
	ids, unknown := v.byReleases()
	var cells []cell
	for _, releases := range slices.Sorted(maps.Keys(ids)) {
		cells = append(cells, cell{name: []any{releases}, ids: ids[releases]})
	}
	v.publish(t, cell{name: []any{nil}, ids: unknown}, cells)
}

func (v *View) publicPlatforms(t *Table) {
	var cells []cell
	for _, p := range v.hosts {
		cells = append(cells, cell{name: []any{p.OS, p.Arch}, ids: p.ids, other: p.Platform == checker.Other})
	}
	v.publish(t, cell{name: []any{rollup.Other, rollup.Other}}, v.sorted(cells))
}

// sorted puts cells with the most ids first, as far as everyone may see which
// have more.
func (v *View) sorted(cells []cell) []cell {
	slices.SortFunc(cells, func(a, b cell) int {
		return cmp.Or(cmp.Compare(v.rounded(b.ids), v.rounded(a.ids)), cmp.Compare(fmt.Sprint(a.name...), fmt.Sprint(b.name...)))
	})
	return cells
}

func (v *View) publicOS(t *Table)   { v.publishParts(t, osOf) }
func (v *View) publicArch(t *Table) { v.publishParts(t, archOf) }

func (v *View) publishParts(t *Table, of func(*platform) string) {
	var cells []cell
	for _, p := range v.parts(of) {
		cells = append(cells, cell{name: []any{p.name}, ids: p.ids, other: p.name == rollup.Other})
	}
	v.publish(t, cell{name: []any{rollup.Other}}, v.sorted(cells))
}
