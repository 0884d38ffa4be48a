package statstest

import "math"

// If a build has many instances on a day, its rollup keeps the heap sizes of a sample of
// them only.
const (
	// sampleLimit is the largest number of instances that are never sampled. A sample has
	// at least half as many.
	sampleLimit = 4096
	// sampleError is the allowed relative error of a number of instance-days: five
	// standard errors.
	sampleError = 5 * 0.0157 // 1 / sqrt(sampleLimit)
)

// nearPercentile reports whether the rank of a heap size is within five standard errors
// of the percentile of the i-th column.
func (c *comparison) nearPercentile(i int, got any, row []any) bool {
	q, include := percentileNamed(c.table.Columns[i].Name), func(version, platform string) bool { return false }
	anyOr := func(want any, got string) bool { return want == nil || want == got }
	switch c.table.Name {
	case "heap":
		include = func(version, platform string) bool {
			return anyOr(row[0], version) && (row[1] == nil || row[1].(string)+"/"+row[2].(string) == platform)
		}
	case "versions":
		include = func(version, _ string) bool { return anyOr(row[0], version) }
	case "platforms":
		include = func(_, platform string) bool { return row[0].(string)+"/"+row[1].(string) == platform }
	case "heap_change":
		name := row[i-4] // old for old_bytes, new for new_bytes
		q = percentileNamed(row[0])
		include = func(version, _ string) bool {
			return c.truth.isOf(version, name.(string))
		}
	}
	heaps := c.truth.heapsOf(func(build int) bool { return include(c.truth.versionName(build), c.truth.platformName(build)) })
	margin := 5 * math.Sqrt(q*(1-q)/(sampleLimit/2))
	low, high := quantile(heaps, max(0, q-margin)), quantile(heaps, min(1, q+margin))
	return low != nil && toFloat(low)*(1-heapError) <= toFloat(got) && toFloat(got) <= toFloat(high)*(1+heapError)
}
