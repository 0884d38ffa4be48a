package stats

import (
	"maps"
	"slices"
)

// count returns how many distinct ids there are, and how many of them ever
// exceeded as many of the heap limits as the index says, or more: at 0 those that
// told a heap.
func (r *Rollup) count() (ids int64, exceed []int64) {
	exceed = make([]int64, len(heapLimits)+1)
	classes := slices.Sorted(maps.Keys(r.classes))
	var sum IDs
	for i, class := range slices.Backward(classes) {
		sum.Merge(r.classes[class])
		ids = max(ids, sum.Count())
		if class == 0 {
			break
		}
		from := 0
		if i > 0 {
			from = classes[i-1]
		}
		for c := max(from, 0); c < min(class, len(exceed)); c++ {
			exceed[c] = ids
		}
	}
	return ids, exceed
}
