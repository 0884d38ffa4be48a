package stats

import "relcheck/checker/stats/rollup"

// versionsBy returns how many ids each version had, in each of the periods that
// begin on these days.
func (v *View) versionsBy(s rollup.Span, first []rollup.Day) [][]int64 {
	grid := make([][]int64, len(first))
	cells := make([]int64, len(first)*len(v.used))
	for i := range first {
		grid[i] = cells[i*len(v.used) : (i+1)*len(v.used)]
	}
	for i := range v.builds {
		b := &v.builds[i]
		for _, c := range *b.Counts(s) {
			if at, ok := placeOf(c.Day, s, first); ok {
				grid[at][b.version.place] += c.Instances
			}
		}
	}
	return grid
}

// placeOf returns where a day is among those that periods of one length begin
// on, one after the other.
func placeOf(d rollup.Day, s rollup.Span, first []rollup.Day) (place int, ok bool) {
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
		t.remark(unfinished)
	}
	names := make([]any, len(v.used)) // made once, since there may be 100,000 rows
	for i, one := range v.used {
		names[i] = one.name
	}
	days := v.periods(rollup.OneDay)
	for i, ids := range v.versionsBy(rollup.OneDay, days) {
		total, day := sum(ids), any(days[i])
		for place, n := range ids {
			if n > 0 {
				t.row(day, names[place], n, share(n, total))
			}
		}
	}
}

func (v *View) releases(t *Table) {
	ids := map[*release]int64{}
	for _, one := range v.used {
		ids[one.release] = one.ids
	}
	half := v.halves()
	for _, r := range v.published.all {
		t.row(r.Version, r.released(), ids[r], share(ids[r], v.ids), half(r))
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
		atLeast[i] = make([]int64, len(v.ladder)+1)
		for n, one := range v.ladder {
			atLeast[i][n+1] = atLeast[i][n] + grid[i][one.place]
		}
	}
	return func(r *release) any {
		if r.Date.IsZero() || len(days) == 0 || rollup.DayOf(r.Date) < days[0] {
			return nil
		}
		n := rungs(v.ladder, r.key)
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
	name string
	ids  int64
}

// minorLines returns those in use, newest first.
func (v *View) minorLines() (all []line) {
	for _, one := range v.used {
		name := Line(one.key)
		if name == "" {
			name = rollup.Other
		}
		if len(all) == 0 || all[len(all)-1].name != name {
			all = append(all, line{name: name})
		}
		all[len(all)-1].ids += one.ids
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
		if l.ids > 0 {
			t.row(l.name, l.ids, share(l.ids, v.ids), v.isLatest(l.name))
		}
	}
}

// recency is how many ids run what is how new.
type recency struct{ latest, line, older, unknown int64 }

func (v *View) recency() (r recency) {
	for _, one := range v.used {
		switch {
		case one.judged == "" || v.Latest == "":
			r.unknown += one.ids
		case compareLines(one.judged, v.Latest) < 0:
			r.older += one.ids
		default:
			r.line += one.ids
		}
	}
	if v.Latest != "" {
		for _, one := range v.ladder[:rungs(v.ladder, v.published.latest.key)] {
			r.latest += one.ids
		}
	}
	return r
}

// latest has no shares of what is not known for want of a release.
func (v *View) latest(t *Table) {
	r, known := v.recency(), v.Latest != ""
	of := func(ids int64) any {
		if !known {
			return nil
		}
		return share(ids, v.ids)
	}
	t.row(LatestRelease, orNil(v.Latest, known), r.latest, of(r.latest))
	t.row(LatestLine, orNil(Line(v.Latest), known), r.line, of(r.line))
	t.row(Older, nil, r.older, of(r.older))
	t.row(Unknown, nil, r.unknown, share(r.unknown, v.ids))
}

func (v *View) versions(t *Table) {
	piles := v.heapSums(len(v.used), func(b *build) int { return b.version.place })
	for i, one := range v.used {
		if one.ids == 0 && one.reports == 0 {
			continue // it was only asked about
		}
		behind, days := v.behindOf(one)
		t.row(one.name, one.release.released(), one.ids, share(one.ids, v.ids), one.reports, behind, days,
			piles[i].p95())
	}
}
