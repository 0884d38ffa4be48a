package stats

import (
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
	version version.Version // see [usedVersion]
	days    []rollup.Count
}

// SpreadDays returns the days outside the range that the tables adoption_curves and
// adoption_speed need. With a filter by version there are none, because shares of one
// version mean nothing.
func (v *View) SpreadDays() (all []rollup.Range) {
	if v.site() != nil {
		return nil // only days of the store itself can be read
	}
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
	for _, b := range builds {
		effective, ok := known[b.Version]
		if !ok {
			effective = v.published.usedVersion(v.published.displayName(b.Version)).effective
			known[b.Version] = effective
		}
		v.outside = append(v.outside, outsideDays{effective, b.Days})
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

// curve has the counts of the days since a launch: of the instances that ran it or a newer
// version, and of all.
type curve struct {
	Launch
	adopted, all [curveDays + 1]int64
}

// add adds the counts of a day for a build.
func (c *curve) add(d rollup.Day, effective version.Version, instances int64) {
	i := d - c.Day
	if i < 0 || i > curveDays {
		return
	}
	c.all[i] += instances
	if effective.Ordered() && effective.CompareBuild(c.limit) >= 0 {
		c.adopted[i] += instances
	}
}

// last returns the last day with data, or -1.
func (c *curve) last() int {
	for i := curveDays; i >= 0; i-- {
		if c.all[i] > 0 {
			return i
		}
	}
	return -1
}

// half returns the first day on which half of the instances ran the launch or a newer
// version, as a value of a table. It is unknown if the launch was before the first day with
// data.
func (c *curve) half(first rollup.Day) any {
	for i := range c.all {
		if c.all[i] > 0 && 2*c.adopted[i] >= c.all[i] {
			return orNil(int64(i), c.Day >= first)
		}
	}
	return nil
}

// curves returns the spread of the newest launches, and the first day with data. Today does
// not count.
func (v *View) curves() (all []*curve, first rollup.Day) {
	if v.Query.Version != "" {
		return nil, 0
	}
	first = v.days().From
	for _, l := range v.spreading() {
		all = append(all, &curve{Launch: l})
	}
	add := func(effective version.Version, days []rollup.Count) {
		for _, c := range days {
			for _, to := range all {
				if c.Day < v.Today && c.Instances > 0 {
					first = min(first, c.Day)
					to.add(c.Day, effective, c.Instances)
				}
			}
		}
	}
	for i := range v.builds {
		var inside []rollup.Count
		for _, c := range v.builds[i].Days {
			if v.Query.Contains(c.Day) {
				inside = append(inside, c)
			}
		}
		add(v.builds[i].version.effective, inside)
	}
	for _, b := range v.outside {
		add(b.version, b.days)
	}
	return all, first
}

func (v *View) adoptionCurves(t *Table) {
	all, _ := v.curves()
	for _, c := range all {
		for i, n := range c.all {
			if n > 0 {
				t.addRow(c.Name, int64(i), c.adopted[i], share(c.adopted[i], n))
			}
		}
	}
}

// adoptionSpeed compares all launches on the day that the newest one has reached.
func (v *View) adoptionSpeed(t *Table) {
	all, first := v.curves()
	for _, c := range all {
		row := []any{c.Name, c.Day, c.half(first), nil, nil, nil}
		if day := all[0].last(); day >= 0 {
			row[3] = int64(day)
			if c.all[day] > 0 {
				row[4], row[5] = c.adopted[day], share(c.adopted[day], c.all[day])
			}
		}
		t.addRow(row...)
	}
}
