package stats

import (
	"iter"

	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// byDay returns the usage on consecutive days by group. The function group returns the index
// of a build's group, of n.
func (v *View) byDay(days []rollup.Day, n int, group func(*build) int) [][]usage {
	counts, cells := make([][]usage, len(days)), make([]usage, len(days)*n)
	for i := range days {
		counts[i] = cells[i*n : (i+1)*n]
	}
	for i := range v.builds {
		b := &v.builds[i]
		at := group(b)
		for d, u := range daily(b.BuildTotals) {
			if day, ok := periodIndex(d, rollup.OneDay, days); ok {
				counts[day][at].add(u)
			}
		}
	}
	return counts
}

// daily yields the usage of a build on days in any order. A day can come twice, with
// installations and with instances.
func daily(b *rollup.BuildTotals) iter.Seq2[rollup.Day, usage] {
	return func(yield func(rollup.Day, usage) bool) {
		for _, c := range b.Days {
			if !yield(c.Day, usage{instances: c.Instances}) {
				return
			}
		}
		for _, n := range b.Installations {
			if !yield(n.Day, usage{installations: n.Daily}) {
				return
			}
		}
	}
}

func versionOf(b *build) int { return b.version.index }

// periodIndex returns the index of the period that begins on a day, in consecutive periods
// of one span.
func periodIndex(d rollup.Day, s rollup.Span, first []rollup.Day) (index int, ok bool) {
	if len(first) == 0 || d < first[0] || d > first[len(first)-1] {
		return 0, false
	}
	return int(d-first[0]) / int(s), true
}

func sum(all []usage) (n usage) {
	for _, u := range all {
		n.add(u)
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
	for i, used := range v.byDay(days, len(v.usedVersions), versionOf) {
		total, day := sum(used).instances, any(days[i])
		for index, u := range used {
			if u.instances > 0 {
				t.addRow(day, names[index], u.instances, share(u.instances, total))
			}
		}
	}
}

func (v *View) releases(t *Table) {
	used := map[*catalog.Ranked]usage{}
	for _, u := range v.usedVersions {
		used[u.release] = u.usage
	}
	half := v.halves()
	for _, r := range v.published.ranked {
		v.addUsed(t, []any{r.Tag, releaseDay(r)}, used[r], half(r), r.Withdrawn)
	}
}

// halves returns a function that returns the number of days from a release to the first day
// on which half of the installations or instances, see [View.Counted], ran it or a newer
// version, or nil if there is none. Today does not count, because its first reports may not
// be representative. Releases before the first day with data have no number. It must be
// called with ever older releases.
func (v *View) halves() func(*catalog.Ranked) any {
	days := v.periods(rollup.OneDay)
	if v.remembers {
		days = v.rememberedPeriods(rollup.OneDay)
	}
	counts := v.byDay(days, len(v.usedVersions), versionOf)
	count, atLeast := v.atLeast(), make([][]int64, len(days)) // by day and n: counts of the n newest versions
	totals := make([]int64, len(days))
	for i := range days {
		totals[i] = v.count(sum(counts[i]))
		atLeast[i] = make([]int64, len(v.ordered)+1)
		for n, u := range v.ordered {
			atLeast[i][n+1] = atLeast[i][n] + v.count(counts[i][u.index])
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

// Recency describes how many run the latest release, its minor line, or something else. The
// function show formats values; an example is [Show].
func (v *View) Recency(show func(Kind, any) string) (sentences []string) {
	count, share, name := v.Counted()
	for r := range v.Table("latest").All() {
		run := show(Share, r.Value(share)) + " run "
		switch what := r.Text(ColWhat); {
		case !r.Known(share):
		case what == LatestRelease:
			sentences = append(sentences, show(Share, r.Value(share))+" of the "+name+" run the latest release, "+v.Latest+", or newer.")
		case what == LatestLine:
			sentences = append(sentences, run+"its minor line, "+v.Line(v.Latest)+", or newer.")
		case r.Count(count) == 0:
		case what == Older && v.Latest != "":
			sentences = append(sentences, run+"an older minor line.")
		case what == Unknown && v.Latest != "":
			sentences = append(sentences, run+"a version that cannot be compared.")
		case what == WithdrawnRelease:
			sentences = append(sentences, run+"a withdrawn release.")
		}
	}
	return sentences
}

func (v *View) versions(t *Table) {
	heaps := v.heapSums(len(v.usedVersions), versionOf)
	for i, u := range v.usedVersions {
		if u.usage == (usage{}) && u.reports == 0 {
			continue // there are only checks
		}
		behind, days := v.behindOf(u)
		v.addUsed(t, []any{u.name, releaseDay(u.release)}, u.usage, u.reports, behind, days, heaps[i].p95(), u.withdrawn)
	}
}
