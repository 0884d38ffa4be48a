package stats

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// Counting together gives what merging gives, and leaves the sketches as they
// were.
func TestTallyCountsAsMergedSketches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var all []*IDs
		var sum IDs
		var steps, together tally
		for range rapid.IntRange(0, 6).Draw(t, "sketches") {
			ids := new(IDs)
			for range rapid.SampledFrom([]int{0, 1, 100, 163, 170, 2000, 5000, 5400, 5500, 20_000}).Draw(t, "ids") {
				ids.add(random.Uint64N(1<<40) * 0x9e3779b97f4a7c15)
			}
			if rapid.Bool().Draw(t, "was counted") {
				ids.Count()
			}
			all = append(all, ids)
			sum.Merge(ids)
			steps.add(ids)
			if got, want := steps.count(), sum.Count(); got != want {
				t.Fatalf("counted %d, merged are %d", got, want)
			}
		}
		together.add(all...)
		if got, want := together.count(), sum.Count(); got != want {
			t.Errorf("counted %d together, merged are %d", got, want)
		}
	})
}
