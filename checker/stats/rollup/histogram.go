package rollup

import "math"

// steps are the possible numbers of bars per doubling of the heap. The narrowest bars are
// about as wide as two buckets.
var steps = []float64{1, 2, 3, 4, 6, 8, 12, 16}

// minBars is the minimum number of bars, unless the heaps are too similar.
const minBars = 20

// Bar has the number of instance-days with a heap in a range of bytes.
type Bar struct {
	From, To     float64
	InstanceDays int64
}

// Bars returns a histogram of the heaps with a logarithmic scale. The edges of its bars are
// powers of two, and evenly spaced between them. Heaps of 0 bytes have a bar of their own.
func (h Heaps) Bars() (all []Bar) {
	low, high := h.bounds()
	step, first, last := 1.0, 0.0, 0.0
	if low <= high {
		for _, step = range steps {
			first, last = math.Floor(octaves(low-1)*step), math.Ceil(octaves(high)*step)
			if last-first >= minBars {
				break
			}
		}
	}
	edge := func(i float64) float64 { return math.Round(math.Exp2(i / step)) }
	if none := h.total - h.Above(0); none > 0 {
		all = append(all, Bar{0, max(1, edge(first)), none})
	}
	before := h.upTo(first / step)
	for i := first; i < last; i++ {
		upTo := h.upTo((i + 1) / step)
		if n := upTo - before; n > 0 || i > first && i < last-1 {
			all = append(all, Bar{edge(i), edge(i + 1), n})
		}
		before = upTo
	}
	if len(all) > 1 && all[0].From == 0 { // leave no gap
		all[0].To = all[1].From
	}
	return all
}

// bounds returns the lowest and the highest bucket of heaps of at least a byte. If there are
// none, low is greater than high.
func (h Heaps) bounds() (low, high int) {
	low = maxBucket + 1
	for bucket := range h.All() {
		if bucket >= 0 {
			low, high = min(low, bucket), bucket
		}
	}
	return low, high
}

// octaves returns the binary logarithm of a bucket's upper bound.
func octaves(bucket int) float64 { return float64(bucket) * logGamma / math.Ln2 }

// upTo returns the number of heaps from one byte up to 2^octave bytes. It interpolates within
// a bucket.
func (h Heaps) upTo(octave float64) int64 {
	position := octave * math.Ln2 / logGamma
	whole := math.Floor(position)
	n := 0.0
	for bucket, count := range h.All() {
		switch {
		case bucket < 0:
		case float64(bucket) <= whole:
			n += float64(count)
		case float64(bucket) == whole+1:
			n += float64(count) * (position - whole)
		}
	}
	return int64(math.Round(n))
}
