package rollup

import (
	"iter"
	"math"
	"slices"
)

// HeapError is the relative error of a heap that was put into a bucket.
const HeapError = 0.01

// gamma is how many times a bucket's upper bound is that of the one before.
const gamma = (1 + HeapError) / (1 - HeapError)

var logGamma = math.Log(gamma)

// HeapBucket returns the bucket of a heap in bytes. Bucket i holds those above
// gamma^(i-1) up to gamma^i, as in DDSketch (Masson, Rim and Lee, VLDB 2019), and
// bucket -1 those of no byte at all. There are about 2,200 of them up to 2^63.
func HeapBucket(bytes int64) int {
	if bytes <= 0 {
		return -1
	}
	return int(math.Ceil(math.Log(float64(bytes)) / logGamma))
}

// maxBucket is that of the largest heap there can be, 2^63-1 bytes.
var maxBucket = HeapBucket(math.MaxInt64)

// HeapOf returns the heap in bytes that stands for a bucket: none in it differs
// by more than [HeapError].
func HeapOf(bucket int) float64 {
	if bucket < 0 {
		return 0
	}
	return math.Exp(float64(bucket)*logGamma) * 2 / (1 + gamma)
}

// Heaps counts heaps by bucket. The zero value has none.
type Heaps struct {
	low    int     // the bucket of the first count
	counts []int64 // of each bucket from there up
	total  int64
}

// Add counts n heaps of a bucket.
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

// Merge adds all that other has counted.
func (h *Heaps) Merge(other Heaps) { h.merge(other, 1) }

// merge adds what other has counted, or takes it away if sign is -1.
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

// Equal tells whether both have counted the same.
func (h Heaps) Equal(other Heaps) bool {
	next, stop := iter.Pull2(other.All())
	defer stop()
	for bucket, n := range h.All() {
		if b, m, ok := next(); !ok || b != bucket || m != n {
			return false
		}
	}
	_, _, more := next()
	return !more
}

// Instances is how many heaps were counted.
func (h Heaps) Total() int64 { return h.total }

// All yields each bucket that has heaps, from the lowest up, and their number.
func (h Heaps) All() iter.Seq2[int, int64] {
	return func(yield func(int, int64) bool) {
		for i, n := range h.counts {
			if n != 0 && !yield(h.low+i, n) {
				return
			}
		}
	}
}

// Quantile returns the heap in bytes that a share q of all, from 0 to 1, does
// not exceed, within [HeapError]; or NaN when there is none. It is the value of
// the heap with that rank, counted from the lowest; there is no interpolation.
func (h Heaps) Quantile(q float64) float64 {
	return h.Quantiles(q)[0]
}

// Quantiles returns several quantiles, see [Heaps.Quantile], which must be in
// ascending order.
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

// rank is that of a quantile of n values, counted from 0.
func rank(q float64, n int64) int64 { return int64(q * float64(n-1)) }

// Above is how many heaps exceed one of so many bytes. Those in its own bucket,
// within [HeapError] of it, do not.
func (h Heaps) Above(bytes int64) (n int64) {
	for i := max(0, HeapBucket(bytes)+1-h.low); i < len(h.counts); i++ {
		n += h.counts[i]
	}
	return n
}
