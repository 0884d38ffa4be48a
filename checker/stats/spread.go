package stats

import (
	"math"
	"slices"

	"relcheck/checker/stats/rollup"
	"relcheck/checker/version"
)

const (
	// maxCurves is the number of launches whose spread is compared.
	maxCurves = 5
	// curveDays is the number of days after a launch that are compared.
	curveDays = 90
)

// outsideDays has the counts of a build on days outside the range.
type outsideDays struct {
	*rollup.BuildTotals
	version version.Version // see [usedVersion]
}

// SpreadDays returns the days outside the range that the tables adoption_curves and
// adoption_speed need. With a filter by version there are none, because shares of one
// version mean nothing.
func (v *View) SpreadDays() (all []rollup.Range) {
	if v.Query.Version != "" || v.Known.Days() == 0 {
		return nil
	}
	next := v.Today // everything from this day on is not needed, or is in all
	for _, l := range v.spreading() {
		r := rollup.Range{From: max(l.Day, v.Known.From), To: min(l.Day+curveDays, next-1)}
		for _, part := range []rollup.Range{{From: max(r.From, v.Query.To+1), To: r.To}, {From: r.From, To: min(r.To, v.Query.From-1)}} {
			if part.From <= part.To {
				all = append(all, part)
			}
		}
		next = min(next, l.Day)
	}
	return all
}

// AddDays adds counts of days outside the range. It must be called before the view is
// used concurrently.
func (v *View) AddDays(builds []rollup.BuildTotals) {
	known := map[string]version.Version{}
	for i := range builds {
		b := &builds[i]
		effective, ok := known[b.Version]
		if !ok {
			effective = v.published.usedVersion(v.published.displayName(b.Version)).effective
			known[b.Version] = effective
		}
		v.outside = append(v.outside, outsideDays{b, effective})
	}
}

// spreading returns the launches whose spread is compared, newest first.
func (v *View) spreading() (all []Launch) {
	for _, l := range v.launches {
		if l.Day > 0 && len(all) < maxCurves {
			all = append(all, l)
		}
	}
	return all
}

// curve has the usage on the days since a launch: of the launch or a newer version, and of
// all.
type curve struct {
	Launch
	adopted, all [curveDays + 1]usage
}

// add adds the usage of a version on a day.
func (c *curve) add(d rollup.Day, effective version.Version, u usage) {
	i := d - c.Day
	if i < 0 || i > curveDays {
		return
	}
	c.all[i].add(u)
	if effective.Ordered() && effective.CompareBuild(c.limit) >= 0 {
		c.adopted[i].add(u)
	}
}

// spread has the curves of the newest launches.
type spread struct {
	curves []*curve
	count  func(usage) int64 // see [View.count]
	first  rollup.Day        // with such counts
}

// last returns the last day since the newest launch that has counts, or -1.
func (s *spread) last() int {
	for i := curveDays; i >= 0; i-- {
		if s.count(s.curves[0].all[i]) > 0 {
			return i
		}
	}
	return -1
}

// half returns the first day on which half ran the launch or a newer version, as a value of
// a table. It is unknown if the launch was before the first day with counts.
func (s *spread) half(c *curve) any {
	for i := range c.all {
		if all := s.count(c.all[i]); all > 0 && 2*s.count(c.adopted[i]) >= all {
			return orNil(int64(i), c.Day >= s.first)
		}
	}
	return nil
}

// spread returns how the newest launches spread. Today does not count.
func (v *View) spread() *spread {
	s := &spread{count: v.count, first: v.Today}
	if v.Query.Version != "" {
		return s
	}
	for _, l := range v.spreading() {
		s.curves = append(s.curves, &curve{Launch: l})
	}
	add := func(d rollup.Day, effective version.Version, u usage) {
		if d >= v.Today {
			return
		}
		if s.count(u) > 0 {
			s.first = min(s.first, d)
		}
		for _, c := range s.curves {
			c.add(d, effective, u)
		}
	}
	for i := range v.builds {
		for d, u := range daily(v.builds[i].BuildTotals) {
			if v.Query.Contains(d) {
				add(d, v.builds[i].version.effective, u)
			}
		}
	}
	for _, b := range v.outside {
		for d, u := range daily(b.BuildTotals) {
			add(d, b.version, u)
		}
	}
	return s
}

func (v *View) adoptionCurves(t *Table) {
	for _, c := range v.spread().curves {
		for i, all := range c.all {
			if all != (usage{}) {
				t.addDay([]any{c.Name, int64(i)}, c.adopted[i], all)
			}
		}
	}
}

// adoptionSpeed compares all launches on the day that the newest one has reached.
func (v *View) adoptionSpeed(t *Table) {
	s := v.spread()
	for _, c := range s.curves {
		if day := s.last(); day >= 0 {
			t.addDay([]any{c.Name, c.Day, s.half(c), int64(day)}, c.adopted[day], c.all[day])
		} else {
			t.addDay([]any{c.Name, c.Day, s.half(c), nil}, usage{}, usage{})
		}
	}
}

// Adoption answers whether the newest launch spreads slower than the one before it, as of the same
// day after each, and describes both. The answer is "" if they cannot be compared. The function
// show formats values; an example is [Show].
func (v *View) Adoption(show func(Kind, any) string) (answer string, sentences []string) {
	rows := slices.Collect(v.Table("adoption_speed").All())
	if len(rows) == 0 {
		return "", nil
	}
	count, share := ColInstances, ColShare
	if v.remembers {
		count, share = ColInstallations, ColInstallationShare
	}
	newest := rows[0]
	text := func(r Row, c Column) string { return show(c.Kind, r.Value(c)) }
	if !newest.Known(share) {
		return "", []string{text(newest, ColVersion) + " was released on " + text(newest, ColReleased) + ". No whole day is known since."}
	}
	sentences = []string{"On day " + text(newest, ColOnDay) + " after its release, " + text(newest, share) + " ran " + text(newest, ColVersion) + " or newer."}
	if len(rows) < 2 || !rows[1].Known(share) {
		return "", append(sentences, "There is no earlier release to compare with.")
	}
	before := rows[1]
	sentences = append(sentences, text(before, ColVersion)+" had "+text(before, share)+" on its day "+text(before, ColOnDay)+".")
	return compareShares(newest, before, count, share), sentences
}

// compareShares answers whether a release spread slower than another one, as of the same day. A
// difference of less than two percentage points, or of less than two standard errors, does not
// count.
func compareShares(newest, before Row, count, share Column) string {
	p, q := newest.Float(share), before.Float(share)
	variance := func(r Row, p float64) float64 {
		if p == 0 {
			return 0
		}
		return p * (1 - p) / (r.Count(count) / p)
	}
	enough := max(0.02, 2*math.Sqrt(variance(newest, p)+variance(before, q)))
	switch {
	case p > q+enough:
		return "no, faster"
	case p < q-enough:
		return "yes, slower"
	}
	return "no, about as fast"
}

// dayColumns returns columns with the usage on a single day after others.
func dayColumns(keys ...Column) []Column {
	return append(keys, ColInstances, ColShare, ColInstallations, ColInstallationShare)
}

// addDay adds a row with the columns of dayColumns. A count is unknown if there are none of its
// population.
func (t *Table) addDay(keys []any, u, all usage) {
	t.addRow(append(keys, orNil(u.instances, all.instances > 0), share(u.instances, all.instances),
		orNil(u.installations, all.installations > 0), share(u.installations, all.installations))...)
}
