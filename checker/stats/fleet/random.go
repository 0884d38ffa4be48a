package fleet

import (
	"math"
	"math/rand/v2"

	"github.com/google/uuid"

	"relcheck/checker/stats"
)

// poisson returns how often something happens that does so mean times on average.
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

// spread returns a number whose logarithm is evenly spread from low to high.
func spread(r *rand.Rand, low, high float64) float64 {
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

// scale is how large the fleet is on a day, as a share of what it is at the end.
func (f Fleet) scale(d stats.Day) float64 {
	return math.Pow(f.Growth, -float64(f.End-d)/float64(max(1, f.Days-1)))
}
