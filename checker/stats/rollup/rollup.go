package rollup

import "slices"

// Rollup is what the reports of one build add up to, in some days. The zero
// value is that of no report.
type Rollup struct {
	Reports     int64
	classes     []heapClass // in order
	peaks       peaks       // of a rollup of one day
	heaps       Heaps       // instance-days by heap that are not among the peaks: of longer rollups, and of earlier versions
	approximate bool        // some were written by an earlier version, see formReports
}

// numHashes are the ids that reported a heap of some size: see heapClass.
type heapClass struct {
	class     int
	instances *InstanceSet
}

// heapLimits are the heaps, in bytes, for which ids are counted that exceed them:
// 256 and 384 KiB, and so on by powers of two and the middle between two of them,
// up to 64 GiB.
var heapLimits = func() (all []int64) {
	const first, last = 256 << 10, 64 << 30
	for n := int64(first); n < last; n *= 2 {
		all = append(all, n, n/2*3)
	}
	return append(all, last)
}()

// HeapLimits returns the heaps in bytes for which [Rollup.Above] is exact.
func HeapLimits() []int64 { return slices.Clone(heapLimits) }

// NearestLimit returns the one of [HeapLimits] that is closest to a heap in
// bytes, by their ratio.
func NearestLimit(bytes int64) int64 {
	i, exact := slices.BinarySearch(heapLimits, bytes)
	if exact || i == 0 {
		return heapLimits[i]
	}
	if i == len(heapLimits) || float64(bytes)/float64(heapLimits[i-1]) < float64(heapLimits[i])/float64(bytes) {
		return heapLimits[i-1]
	}
	return heapLimits[i]
}

// heapClassOf is the number of limits that a heap exceeds, plus one; 0 is for
// reports without a heap.
func heapClassOf(heap *int64) int {
	if heap == nil {
		return 0
	}
	i, _ := slices.BinarySearch(heapLimits, *heap) // the first that is not below it
	return i + 1
}

// bucketsOfClass returns the first and the last bucket that heaps of a class can be in.
func bucketsOfClass(class int) (low, high int) {
	low, high = -1, maxBucket
	if class > 1 {
		low = HeapBucket(heapLimits[class-2] + 1)
	}
	if class <= len(heapLimits) {
		high = HeapBucket(heapLimits[class-1])
	}
	return low, high
}

// addHash counts a report.
func (r *Rollup) add(hash uint64, heap *int64) {
	r.Reports++
	if heap != nil {
		r.peaks.add(hash, HeapBucket(*heap))
	}
	r.instancesIn(heapClassOf(heap)).addHash(hash)
}

// instancesIn returns the ids of a class, to be added to.
func (r *Rollup) instancesIn(c int) *InstanceSet {
	i, there := slices.BinarySearchFunc(r.classes, c, func(h heapClass, c int) int { return h.class - c })
	if !there {
		r.classes = slices.Insert(r.classes, i, heapClass{c, new(InstanceSet)})
	}
	return r.classes[i].instances
}

// Merge adds all that another rollup of the same period has counted. Ids that both
// have count once.
func (r *Rollup) Merge(other *Rollup) {
	r.mergeInstances(other)
	r.peaks.merge(&other.peaks)
	r.heaps.Merge(other.heaps)
}

// AddPart adds a rollup of a part of the period, from which nothing has been added yet.
// An id counts once, and so does each of its instance-days.
func (r *Rollup) AddPart(part *Rollup) {
	r.mergeInstances(part)
	r.heaps.Merge(part.Heaps())
}

// AddLatePart adds to what was summed up of a day before some reports came in. Part has
// those reports, and day has all of that day; before has its heaps without them.
func (r *Rollup) AddLatePart(part, day *Rollup, before Heaps) {
	r.mergeInstances(part)
	r.heaps.Merge(day.Heaps())
	r.heaps.merge(before, -1)
}

func (r *Rollup) mergeInstances(other *Rollup) {
	r.Reports += other.Reports
	r.approximate = r.approximate || other.approximate
	for _, h := range other.classes {
		r.instancesIn(h.class).Merge(h.instances)
	}
}

// Heaps returns the number of instance-days by heap: each instance counts once for
// each day on which it reported a heap, with the highest of that day.
func (r *Rollup) Heaps() (h Heaps) {
	h.Merge(r.heaps)
	r.peaks.compact()
	r.peaks.addTo(&h)
	return h
}

// Approximate reports whether heaps are among it that an earlier version of relcheck has
// summed up, which are approximate.
func (r *Rollup) Approximate() bool { return r.approximate }

// Instances is how many distinct ids have reported.
func (r *Rollup) Instances() int64 { return r.instancesFrom(0) }

// Above is how many distinct ids have ever reported a heap that exceeds a limit,
// one of [HeapLimits].
func (r *Rollup) Above(limit int64) int64 {
	return r.instancesFrom(heapClassOf(&limit) + 1)
}

// instancesFrom counts the ids in classes from c up.
func (r *Rollup) instancesFrom(c int) int64 {
	first := slices.IndexFunc(r.classes, func(h heapClass) bool { return h.class >= c })
	if first < 0 {
		return 0
	}
	if first == len(r.classes)-1 {
		return r.classes[first].instances.Count()
	}
	var t distinctCounter
	for _, h := range r.classes[first:] {
		t.addSet(h.instances)
	}
	return t.count()
}

// dedupe leaves ids only where they matter, which is in the highest of their classes:
// the heap of a server varies, and in time it is found in many of them.
func (r *Rollup) dedupe() {
	var above []uint32
	for i := range slices.Backward(r.classes) {
		ids := r.classes[i].instances
		ids.hashes = removeSorted(ids.hashes, above)
		if i > 0 {
			above = mergeSorted(above, ids.hashes)
		}
	}
	r.classes = slices.DeleteFunc(r.classes, func(h heapClass) bool { return h.instances.registers == nil && len(h.instances.hashes) == 0 })
}
