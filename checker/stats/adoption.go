package stats

import "relcheck/checker/stats/rollup"

// versionsBy returns how many ids each version had, in each of the periods that
// begin on these days.
func (v *View) versionsBy(s rollup.Span, first []rollup.Day) [][]int64 {
	grid := make([][]int64, len(first))
	cells := make([]int64, len(first)*len(v.usedVersions))
	for i := range first {
		grid[i] = cells[i*len(v.usedVersions) : (i+1)*len(v.usedVersions)]
	}
	for i := range v.builds {
		b := &v.builds[i]
		for _, c := range *b.Counts(s) {
			if at, ok := periodIndex(c.Day, s, first); ok {
				grid[at][b.version.index] += c.Instances
			}
		}
	}
	return grid
}

// placeOf returns where a day is among those that periods of one length begin
// on, one after the other.
func periodIndex(d rollup.Day, s rollup.Span, first []rollup.Day) (index int, ok bool) {
	if len(first) == 0 || d < first[0] || d > first[len(first)-1] {
		return 0, false
	}
	return int(d-first[0]) / int(s), true
}

func sum(all []int64) (n int64) {
	for _, one := range all {
		n += one
	}
	return n
}

func (v *View) adoption(t *Table) {
	if v.unfinished() {
		t.addNote(unfinished)
	}
	names := make([]any, len(v.usedVersions)) // made once, since there may be 100,000 rows
	for i, one := range v.usedVersions {
		names[i] = one.name
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
	instances := map[*release]int64{}
	for _, one := range v.usedVersions {
		instances[one.release] = one.instances
	}
	half := v.halves()
	for _, r := range v.published.all {
		t.addRow(r.Version, r.day(), instances[r], share(instances[r], v.instances), half(r))
	}
}

// halves returns a function that tells how many days it took from a release
// until half of a day's ids ran it or a newer one, or nil. Today does not count:
// its first ids may be any. Nor do releases before the first day that is known.
func (v *View) halves() func(*release) any {
	days := v.periods(rollup.OneDay)
	grid := v.versionsBy(rollup.OneDay, days)
	atLeast := make([][]int64, len(days)) // of each day, how many ran one of the first n versions of the ladder
	totals := make([]int64, len(days))
	for i := range days {
		totals[i] = sum(grid[i])
		atLeast[i] = make([]int64, len(v.ordered)+1)
		for n, one := range v.ordered {
			atLeast[i][n+1] = atLeast[i][n] + grid[i][one.index]
		}
	}
	return func(r *release) any {
		if r.Date.IsZero() || len(days) == 0 || rollup.DayOf(r.Date) < days[0] {
			return nil
		}
		n := countAtLeast(v.ordered, r.key)
		for i, d := range days {
			if total := totals[i]; d >= rollup.DayOf(r.Date) && d < v.Today && total > 0 && 2*atLeast[i][n] >= total {
				return int64(d - rollup.DayOf(r.Date))
			}
		}
		return nil
	}
}

// line is a minor line, and how many ids run it.
type line struct {
	name      string
	instances int64
}

// minorLines returns those in use, newest first.
func (v *View) minorLines() (all []line) {
	for _, one := range v.usedVersions {
		name := Line(one.key)
		if name == "" {
			name = rollup.Other
		}
		if len(all) == 0 || all[len(all)-1].name != name {
			all = append(all, line{name: name})
		}
		all[len(all)-1].instances += one.instances
	}
	return all
}

// isLatest tells whether a line is that of the latest release, as a value of a
// table.
func (v *View) isLatest(line string) any {
	return orNil(line == Line(v.Latest), v.Latest != "")
}

func (v *View) lines(t *Table) {
	for _, l := range v.minorLines() {
		if l.instances > 0 {
			t.addRow(l.name, l.instances, share(l.instances, v.instances), v.isLatest(l.name))
		}
	}
}

// recency is how many ids run what is how new.
type recency struct{ latest, line, older, unknown int64 }

func (v *View) recency() (r recency) {
	for _, one := range v.usedVersions {
		switch {
		case one.effective == "" || v.Latest == "":
			r.unknown += one.instances
		case compareLines(one.effective, v.Latest) < 0:
			r.older += one.instances
		default:
			r.line += one.instances
		}
	}
	if v.Latest != "" {
		for _, one := range v.ordered[:countAtLeast(v.ordered, v.published.latest.key)] {
			r.latest += one.instances
		}
	}
	return r
}

// latest has no shares of what is not known for want of a release.
func (v *View) latest(t *Table) {
	r, known := v.recency(), v.Latest != ""
	of := func(instances int64) any {
		if !known {
			return nil
		}
		return share(instances, v.instances)
	}
	t.addRow(LatestRelease, orNil(v.Latest, known), r.latest, of(r.latest))
	t.addRow(LatestLine, orNil(Line(v.Latest), known), r.line, of(r.line))
	t.addRow(Older, nil, r.older, of(r.older))
	t.addRow(Unknown, nil, r.unknown, share(r.unknown, v.instances))
}

func (v *View) versions(t *Table) {
	heaps := v.heapSums(len(v.usedVersions), func(b *build) int { return b.version.index })
	for i, one := range v.usedVersions {
		if one.instances == 0 && one.reports == 0 {
			continue // it was only asked about
		}
		behind, days := v.behindOf(one)
		t.addRow(one.name, one.release.day(), one.instances, share(one.instances, v.instances), one.reports, behind, days,
			heaps[i].p95())
	}
}
