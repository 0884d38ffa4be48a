package fleet

import (
	"math"
	"math/rand/v2"

	"github.com/google/uuid"

	"relcheck/checker/stats/rollup"
)

// poisson draws a number from a Poisson distribution.
func poisson(r *rand.Rand, mean float64) int {
	if mean > 100 {
		return int(math.Round(mean + math.Sqrt(mean)*r.NormFloat64()))
	}
	n := 0
	for p, end := r.Float64(), math.Exp(-mean); p > end; p *= r.Float64() {
		n++
	}
	return n
}

// logUniform draws a number from a log-uniform distribution between low and high.
func logUniform(r *rand.Rand, low, high float64) float64 {
	return low * math.Pow(high/low, r.Float64())
}

// NewID draws a version 4 UUID.
func NewID(r *rand.Rand) (id uuid.UUID) {
	a, b := r.Uint64(), r.Uint64()
	for i := range 8 {
		id[i], id[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// relativeSize returns the ratio of the fleet's size on a day to that on the last day.
func (f Fleet) relativeSize(d rollup.Day) float64 {
	return math.Pow(f.Growth, -float64(f.End-d)/float64(max(1, f.Days-1)))
}
