package stats

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Rollup is what the reports of one build add up to, in some days. The zero
// value is that of no report.
type Rollup struct {
	Reports int64
	Heaps   Heaps     // of the reports that told one
	classes []heapIDs // in order
}

// heapIDs are the ids that reported a heap of some size: see heapClass.
type heapIDs struct {
	class int
	ids   *IDs
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

// heapClass is the number of limits that a heap exceeds, plus one; 0 is for
// reports without a heap.
func heapClass(heap *int64) int {
	if heap == nil {
		return 0
	}
	i, _ := slices.BinarySearch(heapLimits, *heap) // the first that is not below it
	return i + 1
}

// add counts a report.
func (r *Rollup) add(hash uint64, heap *int64) {
	r.Reports++
	if heap != nil {
		r.Heaps.Add(HeapBucket(*heap), 1)
	}
	r.class(heapClass(heap)).add(hash)
}

// class returns the ids of a class, to be added to.
func (r *Rollup) class(c int) *IDs {
	i, there := slices.BinarySearchFunc(r.classes, c, func(h heapIDs, c int) int { return h.class - c })
	if !there {
		r.classes = slices.Insert(r.classes, i, heapIDs{c, new(IDs)})
	}
	return r.classes[i].ids
}

// Merge adds all that other has counted. Ids that both have count once.
func (r *Rollup) Merge(other *Rollup) {
	r.Reports += other.Reports
	r.Heaps.Merge(other.Heaps)
	for _, h := range other.classes {
		r.class(h.class).Merge(h.ids)
	}
}

// IDs is how many distinct ids have reported.
func (r *Rollup) IDs() int64 { return r.idsFrom(0) }

// Above is how many distinct ids have ever reported a heap that exceeds a limit,
// one of [HeapLimits].
func (r *Rollup) Above(limit int64) int64 {
	return r.idsFrom(heapClass(&limit) + 1)
}

// idsFrom counts the ids in classes from c up.
func (r *Rollup) idsFrom(c int) int64 {
	first := slices.IndexFunc(r.classes, func(h heapIDs) bool { return h.class >= c })
	if first < 0 {
		return 0
	}
	if first == len(r.classes)-1 {
		return r.classes[first].ids.Count()
	}
	var t tally
	for _, h := range r.classes[first:] {
		t.add(h.ids)
	}
	return t.count()
}

// rollupForm is the first byte of an encoded rollup.
const rollupForm = 1

// thin leaves ids only where they matter, which is in the highest of their classes:
// the heap of a server varies, and in time it is found in many of them.
func (r *Rollup) thin() {
	var above []uint32
	for i := range slices.Backward(r.classes) {
		ids := r.classes[i].ids
		ids.few = without(ids.few, above)
		above = merged(above, ids.few)
	}
	r.classes = slices.DeleteFunc(r.classes, func(h heapIDs) bool { return h.ids.many == nil && len(h.ids.few) == 0 })
}

// AppendBinary appends a form of the rollup that UnmarshalBinary reads.
func (r *Rollup) AppendBinary(b []byte) ([]byte, error) {
	r.thin()
	b = append(b, rollupForm)
	b = binary.AppendUvarint(b, uint64(r.Reports))
	buckets := 0
	for range r.Heaps.All() {
		buckets++
	}
	b = binary.AppendUvarint(b, uint64(buckets))
	last := 0
	for bucket, n := range r.Heaps.All() {
		b = binary.AppendVarint(b, int64(bucket-last))
		b = binary.AppendUvarint(b, uint64(n))
		last = bucket
	}
	b = binary.AppendUvarint(b, uint64(len(r.classes)))
	for _, h := range r.classes {
		sketch, err := h.ids.AppendBinary(nil)
		if err != nil {
			return nil, err
		}
		b = binary.AppendUvarint(b, uint64(h.class))
		b = binary.AppendUvarint(b, uint64(len(sketch)))
		b = append(b, sketch...)
	}
	return b, nil
}

var errRollup = errors.New("not a rollup: its bytes make no sense")

// UnmarshalBinary replaces the rollup by what a form of it holds.
func (r *Rollup) UnmarshalBinary(b []byte) error {
	var p packed
	if err := p.open(b); err != nil {
		return err
	}
	return p.unpack(r)
}

// reader takes numbers off bytes until they turn out to be bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) count() int64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // as most are
		n := int64(r.b[0])
		r.b = r.b[1:]
		return n
	}
	n, size := binary.Uvarint(r.b)
	return int64(n&(1<<63-1)) * r.taken(size)
}

func (r *reader) signed() int64 {
	n, size := binary.Varint(r.b)
	return n * r.taken(size)
}

// taken passes over a number's bytes, and returns 0 if it was none.
func (r *reader) taken(size int) int64 {
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return 1
}

func (r *reader) bytes(n int64) []byte {
	if n < 0 || n > int64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}
