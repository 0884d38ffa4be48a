package stats

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"relcheck/checker/stats/rollup"
)

// leastBeyond is how many instances of each cohort must lie beyond a percentile for the
// percentiles to be compared: fewer are as likely to differ by chance.
const leastBeyond = 5

// comparedPercentiles are the percentiles that two cohorts are compared by, with the
// number of instances and installations that it takes.
var comparedPercentiles = []struct {
	name      string
	q         float64
	reporters int64
}{{"p50", 0.50, 2 * leastBeyond}, {"p90", 0.90, 10 * leastBeyond}, {"p95", 0.95, 20 * leastBeyond}, {"p99", 0.99, 100 * leastBeyond}}

func (v *View) heapChange(t *Table) {
	from, to, err := v.compared()
	if err != nil {
		t.addNote(err.Error())
		return
	}
	n, m := v.reporters(&from.heapSum), v.reporters(&to.heapSum)
	for _, p := range comparedPercentiles {
		before, after := from.Quantile(p.q), to.Quantile(p.q)
		row := []any{p.name, from.name, to.name, n, m, before, after, nil, nil, nil, nil}
		if before > 0 && min(n, m) >= p.reporters {
			low, high := changeBounds(&from, n, &to, m, p.q)
			row[7], row[8], row[9], row[10] = after/before-1, low, high, low > 0 || high < 0
		}
		t.addRow(row...)
	}
}

// changeBounds returns the bounds of the change of a percentile that have 95 % confidence.
// The bounds of each percentile follow from the numbers n and m of instances, because the number
// that lies below it is binomial. They are combined as distances of independent logarithms.
func changeBounds(from *cohort, n int64, to *cohort, m int64, q float64) (low, high float64) {
	less, more := from.spread(q, n)
	newLess, newMore := to.spread(q, m)
	change := to.log(q) - from.log(q)
	return math.Expm1(change - math.Hypot(newLess, more) - rollup.HeapError), math.Expm1(change + math.Hypot(newMore, less) + rollup.HeapError)
}

// spread returns how far a percentile of n instances may be below and above its value, as
// logarithms.
func (p *heapSum) spread(q float64, n int64) (less, more float64) {
	const z = 1.96
	d := z * math.Sqrt(q*(1-q)/float64(n))
	return p.log(q) - p.log(q-d), p.log(q+d) - p.log(q)
}

// log returns the logarithm of a quantile.
func (p *heapSum) log(q float64) float64 { return math.Log(max(1, p.Quantile(min(1, max(0, q))))) }

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
	heaps := v.heapSums(len(v.usedVersions), versionOf)
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
