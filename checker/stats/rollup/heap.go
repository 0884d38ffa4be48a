package rollup

import (
	"iter"
	"math"
	"slices"
)

// HeapError is the maximum relative error of a heap due to its bucket.
const HeapError = 0.01

// gamma is the ratio of the upper bounds of adjacent buckets.
const gamma = (1 + HeapError) / (1 - HeapError)

var logGamma = math.Log(gamma)

// HeapBucket returns the bucket of a heap in bytes. Bucket i has the heaps above gamma^(i-1)
// up to gamma^i, as in DDSketch (Masson, Rim and Lee, VLDB 2019). Bucket -1 has heaps of 0
// bytes. There are about 2,200 buckets up to 2^63.
func HeapBucket(bytes int64) int {
	if bytes <= 0 {
		return -1
	}
	return int(math.Ceil(math.Log(float64(bytes)) / logGamma))
}

// maxBucket is the bucket of the largest possible heap, 2^63-1 bytes.
var maxBucket = HeapBucket(math.MaxInt64)

// ValidBucket reports whether heaps can have a bucket.
func ValidBucket(bucket int64) bool { return -1 <= bucket && bucket <= int64(maxBucket) }

// HeapOf returns the heap in bytes that represents a bucket. Heaps in the bucket differ from
// it by at most [HeapError].
func HeapOf(bucket int) float64 {
	if bucket < 0 {
		return 0
	}
	return math.Exp(float64(bucket)*logGamma) * 2 / (1 + gamma)
}

// Heaps counts heaps by bucket. The zero value is empty.
type Heaps struct {
	low    int     // bucket of counts[0]
	counts []int64 // by bucket
	total  int64
}

// Add adds n heaps in a bucket.
func (h *Heaps) Add(bucket int, n int64) {
	if i := bucket - h.low; i < 0 || i >= len(h.counts) {
		h.extendTo(bucket, bucket)
	}
	h.counts[bucket-h.low] += n
	h.total += n
}

// extendTo makes room for the buckets from low to high.
func (h *Heaps) extendTo(low, high int) {
	if len(h.counts) == 0 {
		h.low = low
	}
	if low < h.low {
		h.counts = slices.Insert(h.counts, 0, make([]int64, h.low-low)...)
		h.low = low
	}
	if missing := high - h.low + 1 - len(h.counts); missing > 0 {
		h.counts = append(h.counts, make([]int64, missing)...)
	}
}

// Merge adds the counts of other.
func (h *Heaps) Merge(other Heaps) { h.merge(other, 1) }

// merge adds the counts of other, or subtracts them if sign is -1.
func (h *Heaps) merge(other Heaps, sign int64) {
	if len(other.counts) == 0 {
		return
	}
	h.extendTo(other.low, other.low+len(other.counts)-1)
	into := h.counts[other.low-h.low:]
	for i, n := range other.counts {
		into[i] += sign * n
	}
	h.total += sign * other.total
}

// Total returns the number of heaps.
func (h Heaps) Total() int64 { return h.total }

// All returns the buckets with heaps in ascending order, with the number of heaps.
func (h Heaps) All() iter.Seq2[int, int64] {
	return func(yield func(int, int64) bool) {
		for i, n := range h.counts {
			if n != 0 && !yield(h.low+i, n) {
				return
			}
		}
	}
}

// Quantile returns the heap in bytes that a share q of all heaps, from 0 to 1, does not
// exceed, within [HeapError]. It returns NaN if there are no heaps. It does not interpolate:
// it returns the value of the heap with that rank.
func (h Heaps) Quantile(q float64) float64 {
	return h.Quantiles(q)[0]
}

// Quantiles returns several quantiles, see [Heaps.Quantile]. The shares must be in ascending
// order.
func (h Heaps) Quantiles(qs ...float64) []float64 {
	values := make([]float64, 0, len(qs))
	seen := int64(0)
	for bucket, n := range h.All() {
		for seen += n; len(values) < len(qs) && rank(qs[len(values)], h.total) < seen; {
			values = append(values, HeapOf(bucket))
		}
	}
	for len(values) < len(qs) {
		values = append(values, math.NaN())
	}
	return values
}

// rank returns the rank of a quantile of n values, from 0.
func rank(q float64, n int64) int64 { return int64(q * float64(n-1)) }

// Above returns the number of heaps that exceed a number of bytes. It does not count heaps in
// the same bucket.
func (h Heaps) Above(bytes int64) (n int64) {
	for i := max(0, HeapBucket(bytes)+1-h.low); i < len(h.counts); i++ {
		n += h.counts[i]
	}
	return n
}
