package public

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"testing"
)

// seeded returns the same random bytes in each run.
func seeded(seed byte) io.Reader { return bufio.NewReader(rand.NewChaCha8([32]byte{seed})) }

// chance returns the probability of a noise.
func chance(z int64) float64 {
	q := math.Exp(-1.0 / Scale)
	return (1 - q) / (1 + q) * math.Exp(-math.Abs(float64(z))/Scale)
}

// TestNoise compares the frequencies of 500,000 noises with their probabilities, by
// chi-squared of bins of five numbers.
func TestNoise(t *testing.T) {
	const draws, width, bins = 500_000, 5, 60 // the last bin on each side has the rest
	random := seeded(1)
	bin := func(z int64) int { return int(min(bins, max(-bins, (z+width/2+width*1000)/width-1000))) + bins }
	var found [2*bins + 1]float64
	sum, squares := 0.0, 0.0
	for range draws {
		z := noise(random)
		found[bin(z)]++
		sum, squares = sum+float64(z), squares+float64(z*z)
	}
	var want [2*bins + 1]float64
	for z := int64(-3000); z <= 3000; z++ {
		want[bin(z)] += draws * chance(z)
	}
	chi := 0.0
	for i := range want {
		chi += (found[i] - want[i]) * (found[i] - want[i]) / want[i]
	}
	if limit := 2*bins + 5*math.Sqrt(4*bins); chi > limit {
		t.Errorf("got chi-squared %.1f of %d bins, want at most %.1f", chi, len(want), limit)
	}
	variance, q := 0.0, math.Exp(-1.0/Scale)
	variance = 2 * q / (1 - q) / (1 - q)
	if mean := sum / draws; math.Abs(mean) > 5*math.Sqrt(variance/draws) {
		t.Errorf("got mean %.2f, want 0", mean)
	}
	if got := squares / draws; math.Abs(got/variance-1) > 0.02 {
		t.Errorf("got variance %.0f, want %.0f", got, variance)
	}
}

// TestUniform checks that the numbers that would favor small remainders are rejected.
func TestUniform(t *testing.T) {
	random := bytes.NewReader(append(bytes.Repeat([]byte{0}, 8), 41, 0, 0, 0, 0, 0, 0, 0))
	if got := uniform(random, 42); got != 41 { // 2^64 mod 42 is 16, so 0 is rejected
		t.Errorf("got %d, want 41", got)
	}
	var found [7]int
	chacha := seeded(2)
	for range 70_000 {
		found[uniform(chacha, 7)]++
	}
	for i, n := range found {
		if n < 9500 || n > 10500 {
			t.Errorf("got %d %d times of 70,000, want about 10,000", i, n)
		}
	}
}
