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

// Public returns the part of the view that the public may see. Counts of instances are
// rounded down to a multiple of the threshold, so that no difference of two counts reveals
// fewer instances. Counts below the threshold are added up as other, or omitted. The view
// has fewer tables, and none if its query is not one of [ParsePublicQuery].
//
// This protects instances against readers, but not against a client that also submits
// reports: it can add to a small count until the rounded count increases.
//
// Unreleased versions count as other, because they may name a person or a machine. The
// view has no heaps.
func (v *View) Public(threshold int64) *View {
	public := *v
	public.threshold = max(1, threshold)
	public.tables = nil
	public.usedVersions, public.usedPlatforms, public.instances = nil, nil, 0
	public.addBuilds(v.withoutHeaps())
	if v.isPublic() {
		public.tables = publicDefinitions
	}
	public.AsOf = time.Time{} // it is the time of a single report
	public.Known = public.publicKnown()
	public.known = public.Known
	public.Query.Below, public.Query.Above, public.Query.Compare = "", 0, [2]string{}
	return &public
}

func (v *View) withoutHeaps() []rollup.BuildTotals {
	all := make([]rollup.BuildTotals, len(v.builds))
	for i, b := range v.builds {
		all[i] = *b.BuildTotals
		all[i].Heaps, all[i].Exceed = rollup.Heaps{}, nil
	}
	return all
}

// isPublic reports whether the query is one that the public may use.
func (v *View) isPublic() bool {
	q := v.Query
	return q.Filter == Filter{} && q.To == v.Today-1 && slices.Contains(publicDays, q.Range.Days())
}

// publicKnown returns the days with data that the public may know of: from the first week
// whose rounded count is not 0, or the last seven days if there is none. The very first
// report may be of a single instance.
func (v *View) publicKnown() rollup.Range {
	if v.roundDown(v.instances) == 0 {
		return rollup.Range{From: 1, To: 0}
	}
	all := *v
	all.known = v.Query.Range
	for _, week := range all.perPeriod(rollup.OneWeek) {
		if v.roundDown(week.Instances) > 0 {
			return rollup.Range{From: week.Day, To: v.Query.To}
		}
	}
	return v.Query.Last(7)
}

// roundDown rounds a count of instances for the public.
func (v *View) roundDown(instances int64) int64 { return instances - instances%v.threshold }

// roundedNote ends notes about rounded counts.
const roundedNote = ", rounded down; small counts are added up as other, or omitted"

var publicDefinitions = []definition{
	{"summary", "Summary", "Distinct instances seen in these days, and in as many before them" + roundedNote,
		[]Column{ColPeriod, ColFrom, ColTo, ColInstances, ColBefore, ColChange}, (*View).publicSummary},
	{"weekly", "By week", "Distinct instances seen from Monday to Sunday, in whole weeks of the range" + roundedNote,
		[]Column{ColFrom, ColTo, ColInstances}, (*View).publicWeekly},
	{"adoption", "Adoption", "Distinct instances seen in the week from that Monday, and their share of all of that week" + roundedNote,
		[]Column{ColDay, ColVersion, ColInstances, ColShare}, (*View).publicAdoption},
	{"lines", "Minor lines", "Distinct instances seen in the range, by minor line" + roundedNote,
		[]Column{ColLine, ColInstances, ColShare, ColLatest}, (*View).publicLines},
	{"latest", "On the latest", "Distinct instances seen in the range that run the latest release, its line, or a newer version; the line includes the release" + roundedNote,
		[]Column{ColWhat, ColVersion, ColInstances, ColShare}, (*View).publicLatest},
	{"versions", "Versions", "Distinct instances seen in the range" + roundedNote,
		[]Column{ColVersion, ColReleased, ColInstances, ColShare, ColBehind, ColDaysBehind}, (*View).publicVersions},
	{"behind", "Releases behind", "Distinct instances seen in the range, by how many stable releases are newer than theirs" + roundedNote,
		[]Column{ColReleases, ColInstances, ColShare}, (*View).publicBehind},
	{"platforms", "Platforms", "Distinct instances seen in the range" + roundedNote,
		[]Column{ColOS, ColArch, ColInstances, ColShare}, (*View).publicPlatforms},
	{"os", "Operating systems", "Distinct instances seen in the range" + roundedNote,
		[]Column{ColOS, ColInstances, ColShare}, (*View).publicOS},
	{"arch", "Architectures", "Distinct instances seen in the range" + roundedNote,
		[]Column{ColArch, ColInstances, ColShare}, (*View).publicArch},
}

// publicRow is a row of a public table before rounding. Between before and after are the
// columns instances and share.
type publicRow struct {
	before    []any
	instances int64
	after     []any
	other     bool // belongs to the row of all others
}

// addPublicRows adds the rows that reach the threshold, and one for the sum of all others. It
// returns the sum of the rounded counts.
func (v *View) addPublicRows(t *Table, rest publicRow, rows []publicRow) (total int64) {
	var large []publicRow
	for _, c := range rows {
		if c.other || c.instances < v.threshold {
			rest.instances += c.instances
		} else {
			large = append(large, c)
		}
	}
	if rest.instances >= v.threshold {
		large = append(large, rest)
	}
	for _, c := range large {
		total += v.roundDown(c.instances)
	}
	for _, c := range large {
		instances := v.roundDown(c.instances)
		t.Rows = append(t.Rows, slices.Concat(c.before, []any{instances, share(instances, total)}, c.after))
	}
	return total
}

func (v *View) publicSummary(t *Table) {
	for _, s := range v.windows()[1:] {
		instances, before := v.roundDown(s.instances), v.roundDown(s.before)
		known := before > 0 && v.hasBefore(s.Range)
		t.addRow(s.name, s.From, s.To, instances, orNil(before, known), orNil(float64(instances)/float64(before)-1, known))
	}
}

func (v *View) publicWeekly(t *Table) {
	for _, c := range v.perPeriod(rollup.OneWeek) {
		t.addRow(c.Day, rollup.Period{Span: rollup.OneWeek, Day: c.Day}.Range().To, v.roundDown(c.Instances))
	}
}

func (v *View) publicAdoption(t *Table) {
	weeks := v.periods(rollup.OneWeek)
	for i, instances := range v.versionsBy(rollup.OneWeek, weeks) {
		var rows []publicRow
		for index, n := range instances {
			name := v.usedVersions[index].name
			rows = append(rows, publicRow{before: []any{weeks[i], name}, instances: n, other: name == rollup.Other})
		}
		v.addPublicRows(t, publicRow{before: []any{weeks[i], rollup.Other}}, rows)
	}
}

func (v *View) publicLines(t *Table) {
	var rows []publicRow
	for _, l := range v.minorLines() {
		rows = append(rows, publicRow{[]any{l.name}, l.instances, []any{v.isLatest(l.name)}, l.name == rollup.Other})
	}
	v.addPublicRows(t, publicRow{before: []any{rollup.Other}, after: []any{v.isLatest(rollup.Other)}}, rows)
}

// publicLatest does not count the latest release towards the sum, because its line includes
// it.
func (v *View) publicLatest(t *Table) {
	r := v.recency()
	var parts Table
	total := v.addPublicRows(&parts, publicRow{before: []any{rollup.Other, nil}}, []publicRow{
		{before: []any{LatestLine, Line(v.Latest)}, instances: r.line},
		{before: []any{Older, nil}, instances: r.older},
		{before: []any{Unknown, nil}, instances: r.unknown},
	})
	if latest := v.roundDown(r.latest); latest > 0 {
		t.addRow(LatestRelease, v.Latest, latest, share(latest, total))
	}
	t.Rows = append(t.Rows, parts.Rows...)
}

func (v *View) publicVersions(t *Table) {
	var rows []publicRow
	for _, u := range v.usedVersions {
		releases, days := v.behindOf(u)
		rows = append(rows, publicRow{[]any{u.name, u.release.day()}, u.instances, []any{releases, days}, u.name == rollup.Other})
	}
	v.addPublicRows(t, publicRow{before: []any{rollup.Other, nil}, after: []any{nil, nil}}, rows)
}

// publicBehind adds small counts to the row of unknown versions.
func (v *View) publicBehind(t *Table) {
	instances, unknown := v.byReleases()
	var rows []publicRow
	for _, releases := range slices.Sorted(maps.Keys(instances)) {
		rows = append(rows, publicRow{before: []any{releases}, instances: instances[releases]})
	}
	v.addPublicRows(t, publicRow{before: []any{nil}, instances: unknown}, rows)
}

func (v *View) publicPlatforms(t *Table) {
	var rows []publicRow
	for _, p := range v.usedPlatforms {
		rows = append(rows, publicRow{before: []any{p.OS, p.Arch}, instances: p.instances, other: p.Platform == checker.Other})
	}
	v.addPublicRows(t, publicRow{before: []any{rollup.Other, rollup.Other}}, v.byCount(rows))
}

// byCount sorts rows by rounded count, because the order of exact counts would reveal more.
func (v *View) byCount(rows []publicRow) []publicRow {
	slices.SortFunc(rows, func(a, b publicRow) int {
		return cmp.Or(cmp.Compare(v.roundDown(b.instances), v.roundDown(a.instances)), cmp.Compare(fmt.Sprint(a.before...), fmt.Sprint(b.before...)))
	})
	return rows
}

func (v *View) publicOS(t *Table)   { v.addPublicParts(t, osOf) }
func (v *View) publicArch(t *Table) { v.addPublicParts(t, archOf) }

func (v *View) addPublicParts(t *Table, of func(*platform) string) {
	var rows []publicRow
	for _, p := range v.parts(of) {
		rows = append(rows, publicRow{before: []any{p.name}, instances: p.instances, other: p.name == rollup.Other})
	}
	v.addPublicRows(t, publicRow{before: []any{rollup.Other}}, v.byCount(rows))
}
