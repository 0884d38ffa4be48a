package fleet

import (
	"math"
)

// Heaps of more instances of a build on one day are those of a sample.
const (
	// fewest is how many instances all count, and half as many are in each sample.
	fewest = 4096
	// sampledMargin is by how much a number of instance-days may be off, relative:
	// five standard errors.
	sampledMargin = 5 * 0.0157 // 1 / sqrt(fewest)
)

// isNearPercentile tells whether a heap is one whose rank is within five standard
// errors of that of the percentile in the i-th column.
func (c *comparison) isNearPercentile(i int, got any, row []any) bool {
	q, is := quantileOf(c.table.Columns[i].Name), func(version, platform string) bool { return false }
	same := func(asked any, is string) bool { return asked == nil || asked == is }
	switch c.table.Name {
	case "heap":
		is = func(version, platform string) bool {
			return same(row[0], version) && (row[1] == nil || row[1].(string)+"/"+row[2].(string) == platform)
		}
	case "versions":
		is = func(version, _ string) bool { return same(row[0], version) }
	case "platforms":
		is = func(_, platform string) bool { return row[0].(string)+"/"+row[1].(string) == platform }
	case "heap_change":
		name := row[i-2]
		q = quantileOf(row[0])
		is = func(version, _ string) bool {
			return same(name, version) || lineName.MatchString(name.(string)) && line(version) == name
		}
	}
	heaps := c.truth.heapsOf(func(build int) bool { return is(c.truth.versionName(build), c.truth.platformName(build)) })
	spread := 5 * math.Sqrt(q*(1-q)/(fewest/2))
	low, high := quantile(heaps, max(0, q-spread)), quantile(heaps, min(1, q+spread))
	return low != nil && number(low)*(1-heapMargin) <= number(got) && number(got) <= number(high)*(1+heapMargin)
}
