package stats

import (
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// versionsBy returns the number of instances by period and version. The periods begin on the
// days first.
func (v *View) versionsBy(s rollup.Span, first []rollup.Day) [][]int64 {
	counts := make([][]int64, len(first))
	cells := make([]int64, len(first)*len(v.usedVersions))
	for i := range first {
		counts[i] = cells[i*len(v.usedVersions) : (i+1)*len(v.usedVersions)]
	}
	for i := range v.builds {
		b := &v.builds[i]
		for _, c := range *b.Counts(s) {
			if at, ok := periodIndex(c.Day, s, first); ok {
				counts[at][b.version.index] += c.Instances
			}
		}
	}
	return counts
}

// periodIndex returns the index of the period that begins on a day, in consecutive periods
// of one span.
func periodIndex(d rollup.Day, s rollup.Span, first []rollup.Day) (index int, ok bool) {
	if len(first) == 0 || d < first[0] || d > first[len(first)-1] {
		return 0, false
	}
	return int(d-first[0]) / int(s), true
}

func sum(all []int64) (n int64) {
	for _, count := range all {
		n += count
	}
	return n
}

func (v *View) adoption(t *Table) {
	if v.unfinished() {
		t.addNote(unfinished)
	}
	names := make([]any, len(v.usedVersions)) // allocated once, because there may be 100,000 rows
	for i, u := range v.usedVersions {
		names[i] = u.name
	}
	days := v.periods(rollup.OneDay)
	for i, instances := range v.versionsBy(rollup.OneDay, days) {
		total, day := sum(instances), any(days[i])
		for index, n := range instances {
			if n > 0 {
				t.addRow(day, names[index], n, share(n, total))
			}
		}
	}
}

func (v *View) releases(t *Table) {
	instances := map[*catalog.Ranked]int64{}
	for _, u := range v.usedVersions {
		instances[u.release] = u.instances
	}
	half := v.halves()
	for _, r := range v.published.ranked {
		t.addRow(r.Tag, releaseDay(r), instances[r], share(instances[r], v.instances), half(r), r.Withdrawn)
	}
}

// halves returns a function that returns the number of days from a release to the first day
// on which half of the instances ran it or a newer version, or nil if there is none. Today
// does not count, because its first reports may not be representative. Releases before the
// first day with data have no number. It must be called with ever older releases.
func (v *View) halves() func(*catalog.Ranked) any {
	days := v.periods(rollup.OneDay)
	counts := v.versionsBy(rollup.OneDay, days)
	count, atLeast := v.atLeast(), make([][]int64, len(days)) // by day and n: instances of the n newest versions
	totals := make([]int64, len(days))
	for i := range days {
		totals[i] = sum(counts[i])
		atLeast[i] = make([]int64, len(v.ordered)+1)
		for n, u := range v.ordered {
			atLeast[i][n+1] = atLeast[i][n] + counts[i][u.index]
		}
	}
	return func(r *catalog.Ranked) any {
		if !r.Version.Ordered() || r.Date.IsZero() || len(days) == 0 || rollup.DayOf(r.Date) < days[0] {
			return nil
		}
		n := count(r.Version)
		for i, d := range days {
			if total := totals[i]; d >= rollup.DayOf(r.Date) && d < v.Today && total > 0 && 2*atLeast[i][n] >= total {
				return int64(d - rollup.DayOf(r.Date))
			}
		}
		return nil
	}
}

// isLatest reports, as a value of a table, whether a line is the line of the latest release.
func (v *View) isLatest(line string) any {
	return orNil(line == v.Line(v.Latest), v.Latest != "")
}

func (v *View) lines(t *Table) {
	used := map[string]usage{}
	for _, u := range v.usedVersions {
		n := used[u.line]
		n.add(u.usage)
		used[u.line] = n
	}
	for _, u := range v.usedVersions { // newest first
		if n := used[u.line]; n != (usage{}) {
			v.addUsed(t, []any{u.line}, n, v.isLatest(u.line))
			delete(used, u.line)
		}
	}
}

// latest has no shares of known versions if there is no release.
func (v *View) latest(t *Table) {
	var latest, line, older, unknown, withdrawn usage // line includes latest
	known := v.Latest != ""
	for _, u := range v.usedVersions {
		switch {
		case u.withdrawn:
			withdrawn.add(u.usage)
		case !u.effective.Ordered() || !known:
			unknown.add(u.usage)
		case u.effective.CompareLine(v.published.latest.Version) < 0:
			older.add(u.usage)
		case u.effective.CompareBuild(v.published.latest.Version) >= 0:
			latest.add(u.usage)
			fallthrough
		default:
			line.add(u.usage)
		}
	}
	v.addUsed(t, []any{LatestRelease, orNil(v.Latest, known)}, latest)
	v.addUsed(t, []any{LatestLine, orNil(v.Line(v.Latest), known)}, line)
	v.addUsed(t, []any{Older, nil}, older)
	if !known { // shares of known versions mean nothing
		for _, row := range t.Rows {
			row[t.Index(ColShare)], row[t.Index(ColInstallationShare)] = nil, nil
		}
	}
	v.addUsed(t, []any{Unknown, nil}, unknown)
	v.addUsed(t, []any{WithdrawnRelease, nil}, withdrawn)
}

func (v *View) versions(t *Table) {
	heaps := v.heapSums(len(v.usedVersions), func(b *build) int { return b.version.index })
	for i, u := range v.usedVersions {
		if u.usage == (usage{}) && u.reports == 0 {
			continue // there are only checks
		}
		behind, days := v.behindOf(u)
		v.addUsed(t, []any{u.name, releaseDay(u.release)}, u.usage, u.reports, behind, days, heaps[i].p95(), u.withdrawn)
	}
}
