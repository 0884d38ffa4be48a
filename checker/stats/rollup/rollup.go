package rollup

import "slices"

// Rollup aggregates the reports of a build in a day, week or four weeks. The zero value is
// empty.
type Rollup struct {
	Reports     int64
	classes     []heapClass // in order
	peaks       peaks       // only of a rollup of one day
	heaps       Heaps       // instance-days that are not in peaks: of longer rollups, and of earlier versions
	approximate bool        // has heaps of formatReports
}

// heapClass has the instances that reported a heap of a class: see heapClassOf.
type heapClass struct {
	class     int
	instances *InstanceSet
}

// heapLimits are heaps in bytes. The instances that exceed each of them are counted. They
// are the powers of two, and the values half way between them, from 256 KiB to 64 GiB.
var heapLimits = func() (all []int64) {
	const first, last = 256 << 10, 64 << 30
	for n := int64(first); n < last; n *= 2 {
		all = append(all, n, n/2*3)
	}
	return append(all, last)
}()

// HeapLimits returns the heaps in bytes that [Distinct.Exceed] has counts for.
func HeapLimits() []int64 { return slices.Clone(heapLimits) }

// NearestLimit returns the limit in [HeapLimits] with the smallest ratio to a heap in bytes.
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

// heapClassOf returns the class of a heap: the number of limits that it exceeds, plus one.
// Class 0 is for reports without a heap.
func heapClassOf(heap *int64) int {
	if heap == nil {
		return 0
	}
	i, _ := slices.BinarySearch(heapLimits, *heap) // the first limit that is not exceeded
	return i + 1
}

// bucketsOfClass returns the lowest and highest bucket of heaps of a class.
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

// add adds a report.
func (r *Rollup) add(hash uint64, heap *int64) {
	r.Reports++
	if heap != nil {
		r.peaks.add(hash, HeapBucket(*heap))
	}
	r.instancesIn(heapClassOf(heap)).addHash(hash)
}

// addRemembering adds a report of an installation that remembers its last answer.
func (r *Rollup) addRemembering(hash uint64, heap *int64) {
	r.Reports++
	if heap != nil {
		r.peaks.add(hash, HeapBucket(*heap))
	}
}

// instancesIn returns the set of instances of a class, which it creates if needed.
func (r *Rollup) instancesIn(c int) *InstanceSet {
	i, found := slices.BinarySearchFunc(r.classes, c, func(h heapClass, c int) int { return h.class - c })
	if !found {
		r.classes = slices.Insert(r.classes, i, heapClass{c, new(InstanceSet)})
	}
	return r.classes[i].instances
}

// Merge adds another rollup of the same build and period. Instances in both count once.
func (r *Rollup) Merge(other *Rollup) {
	r.mergeInstances(other)
	r.peaks.merge(&other.peaks)
	r.heaps.Merge(other.heaps)
}

// AddPart adds a rollup of a part of the period that was not added before. Instances and
// instance-days count once.
func (r *Rollup) AddPart(part *Rollup) {
	r.mergeInstances(part)
	r.heaps.Merge(part.Heaps())
}

// AddLatePart adds late reports of a day that was added before. The rollup part has the late
// reports, day has all reports of the day, and before has the heaps without the late ones.
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

// Heaps returns the instance-days by heap: each instance counts once for each day on which it
// reported a heap, with its highest heap of that day.
func (r *Rollup) Heaps() (h Heaps) {
	h.Merge(r.heaps)
	r.peaks.compact()
	r.peaks.addTo(&h)
	return h
}

// Instances returns the number of distinct instances.
func (r *Rollup) Instances() int64 {
	if len(r.classes) == 1 {
		return r.classes[0].instances.Count()
	}
	var t distinctCounter
	for _, h := range r.classes {
		t.addSet(h.instances)
	}
	return t.count()
}

// dedupe removes instances from all but their highest class. The heap of a server varies, so
// that over time it is added to many classes.
func (r *Rollup) dedupe() {
	var above []uint32
	for i := range slices.Backward(r.classes) {
		set := r.classes[i].instances
		set.hashes = removeSorted(set.hashes, above)
		if i > 0 {
			above = mergeSorted(above, set.hashes)
		}
	}
	r.classes = slices.DeleteFunc(r.classes, func(h heapClass) bool { return h.instances.registers == nil && len(h.instances.hashes) == 0 })
}
