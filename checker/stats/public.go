package stats

import (
	"cmp"
	"fmt"
	"slices"
	"time"

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
	public.Query.Below, public.Query.Above, public.Query.Compare = "", 0, [2]string{}
	return &public
}

func (v *View) withoutHeaps() []rollup.BuildTotals {
	all := make([]rollup.BuildTotals, len(v.builds))
	for i, b := range v.builds {
		all[i] = *b.BuildTotals
		all[i].Heaps, all[i].Exceed = rollup.Heaps{}, []int64{0}
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
	all.Known = v.Query.Range
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
		[]Column{ColLine, ColInstances, ColShare, ColLatest}, (*View).rounded},
	{"latest", "On the latest", "Distinct instances seen in the range that run the latest release, its line, or a newer version; the line includes the release; instances of withdrawn releases count only as withdrawn" + roundedNote,
		[]Column{ColWhat, ColVersion, ColInstances, ColShare}, (*View).publicLatest},
	{"versions", "Versions", "Distinct instances seen in the range" + roundedNote,
		[]Column{ColVersion, ColReleased, ColInstances, ColShare, ColBehind, ColDaysBehind, ColWithdrawn}, (*View).rounded},
	{"behind", "Releases behind", "Distinct instances seen in the range, by how many stable releases are newer than theirs; unknown for withdrawn releases that are not older than the latest" + roundedNote,
		[]Column{ColReleases, ColInstances, ColShare}, (*View).rounded},
	{"platforms", "Platforms", "Distinct instances seen in the range" + roundedNote,
		[]Column{ColOS, ColArch, ColInstances, ColShare}, (*View).rounded},
	{"os", "Operating systems", "Distinct instances seen in the range" + roundedNote,
		[]Column{ColOS, ColInstances, ColShare}, (*View).rounded},
	{"arch", "Architectures", "Distinct instances seen in the range" + roundedNote,
		[]Column{ColArch, ColInstances, ColShare}, (*View).rounded},
}

// addRounded adds the rows that reach the threshold, with rounded counts, and a row for the
// sum of all others. The row rest names them; rows with the same name are part of it. The
// result is the sum of the rounded counts.
func (v *View) addRounded(t *Table, rest []any, rows [][]any) (total int64) {
	at, shareAt, few := t.Index(ColInstances), t.Index(ColShare), int64(0)
	var large [][]any
	for _, row := range rows {
		if n := row[at].(int64); n < v.threshold || slices.Equal(row[:at], rest[:at]) {
			few += n
		} else {
			large = append(large, row)
		}
	}
	if few >= v.threshold {
		rest[at] = few
		large = append(large, rest)
	}
	for _, row := range large {
		n := v.roundDown(row[at].(int64))
		row[at] = n
		total += n
	}
	for _, row := range large {
		row[shareAt] = share(row[at].(int64), total)
	}
	t.Rows = append(t.Rows, large...)
	return total
}

// exactRows returns the rows of the table with the same name in views that are not public.
func (v *View) exactRows(t *Table) [][]any {
	i := slices.Index(TableNames, t.Name)
	return definitions[i].table(v).Select(t.Columns...).Rows
}

// rounded fills a table from the rows of [View.exactRows].
func (v *View) rounded(t *Table) {
	rest := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		switch {
		case c.Kind == Text:
			rest[i] = rollup.Other
		case c == ColLatest:
			rest[i] = v.isLatest(rollup.Other)
		}
	}
	rows := v.exactRows(t)
	if t.Has(ColOS) || t.Has(ColArch) { // sorted by count: the order of exact counts would reveal more
		at := t.Index(ColInstances)
		slices.SortFunc(rows, func(a, b []any) int {
			return cmp.Or(cmp.Compare(v.roundDown(b[at].(int64)), v.roundDown(a[at].(int64))), cmp.Compare(fmt.Sprint(a[:at]), fmt.Sprint(b[:at])))
		})
	}
	v.addRounded(t, rest, rows)
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
		var rows [][]any
		for index, n := range instances {
			rows = append(rows, []any{weeks[i], v.usedVersions[index].name, n, nil})
		}
		v.addRounded(t, []any{weeks[i], rollup.Other, nil, nil}, rows)
	}
}

// publicLatest does not count the latest release towards the sum, because its line includes
// it.
func (v *View) publicLatest(t *Table) {
	rows := v.exactRows(t)
	total := v.addRounded(t, []any{rollup.Other, nil, nil, nil}, rows[1:])
	if latest := v.roundDown(rows[0][2].(int64)); latest > 0 {
		t.Rows = slices.Insert(t.Rows, 0, []any{LatestRelease, v.Latest, latest, share(latest, total)})
	}
}
