package stats

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// leastBeyond is how many instances of each cohort must lie beyond a percentile for the
// percentiles to be compared: fewer are as likely to differ by chance.
const leastBeyond = 5

// comparedPercentiles are the percentiles that two cohorts are compared by, with the
// number of instances that it takes.
var comparedPercentiles = []struct {
	name      string
	q         float64
	instances int64
}{{"p50", 0.50, 2 * leastBeyond}, {"p90", 0.90, 10 * leastBeyond}, {"p95", 0.95, 20 * leastBeyond}, {"p99", 0.99, 100 * leastBeyond}}

func (v *View) heapChange(t *Table) {
	from, to, err := v.compared()
	if err != nil {
		t.addNote(err.Error())
		return
	}
	for _, p := range comparedPercentiles {
		before, after := from.Quantile(p.q), to.Quantile(p.q)
		comparable := before > 0 && min(v.reporters(&from.heapSum), v.reporters(&to.heapSum)) >= p.instances
		t.addRow(p.name, from.name, to.name, from.instances, to.instances, before, after, orNil(after/before-1, comparable))
	}
}

// cohort is the builds of a version, or of a minor line.
type cohort struct {
	name    string
	reports int64
	heapSum
}

// cohort returns the builds that include selects.
func (v *View) cohort(name string, include func(*build) bool) cohort {
	c := cohort{name: name}
	for i := range v.builds {
		if b := &v.builds[i]; include(b) {
			c.add(b)
			c.reports += b.Reports
		}
	}
	return c
}

// compared returns the two cohorts of the query, or else the two versions with the
// most instances that reported a heap, the older one first.
func (v *View) compared() (from, to cohort, err error) {
	if v.Query.Compare == [2]string{} {
		return v.mostUsedWithHeap()
	}
	from, fromErr := v.cohortOf(v.Query.Compare[0])
	to, toErr := v.cohortOf(v.Query.Compare[1])
	if fromErr != nil && toErr != nil {
		return from, to, fmt.Errorf("%w; %w", fromErr, toErr)
	}
	return from, to, cmp.Or(fromErr, toErr)
}

// cohortOf returns the cohort of a version or minor line of the query, even if other
// tables count it as other.
func (v *View) cohortOf(requested string) (cohort, error) {
	name, selects := v.published.displayName(requested), selector(v.published.scheme, requested)
	if line, ok := v.published.scheme.ParseLine(requested); ok {
		name = v.published.line(line)
	}
	c := v.cohort(name, func(b *build) bool { return b.version.name == name || selects(b.Version) })
	switch {
	case c.reports == 0:
		return c, fmt.Errorf("no instance reported %s in the range", c.name)
	case c.Total() == 0:
		return c, fmt.Errorf("no report of %s in the range has a heap", c.name)
	}
	return c, nil
}

func (v *View) mostUsedWithHeap() (from, to cohort, err error) {
	heaps := v.heapSums(len(v.usedVersions), func(b *build) int { return b.version.index })
	var reported []*usedVersion
	for _, version := range v.ordered {
		if heaps[version.index].Total() > 0 {
			reported = append(reported, version)
		}
	}
	if len(reported) < 2 {
		return from, to, errors.New("fewer than two versions have heaps in the range")
	}
	slices.SortStableFunc(reported, func(a, b *usedVersion) int {
		return cmp.Compare(v.reporters(&heaps[b.index]), v.reporters(&heaps[a.index]))
	})
	older, newer := reported[0], reported[1]
	if older.index < newer.index {
		older, newer = newer, older
	}
	of := func(version *usedVersion) cohort {
		return v.cohort(version.name, func(b *build) bool { return b.version == version })
	}
	return of(older), of(newer), nil
}
