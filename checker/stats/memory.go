package stats

import "slices"

// count returns how many distinct ids there are, and how many of them ever
// exceeded as many of the heap limits as the index says, or more: at 0 those that
// told a heap.
func (r *Rollup) count() (ids int64, exceed []int64) {
	exceed = make([]int64, len(heapLimits)+1)
	var sum IDs
	for i, h := range slices.Backward(r.classes) {
		class := h.class
		sum.Merge(h.ids)
		ids = max(ids, sum.Count())
		if class == 0 {
			break
		}
		from := 0
		if i > 0 {
			from = r.classes[i-1].class
		}
		for c := max(from, 0); c < min(class, len(exceed)); c++ {
			exceed[c] = ids
		}
	}
	return ids, exceed
}
