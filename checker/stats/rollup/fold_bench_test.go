package rollup_test

import (
	"testing"

	"relcheck/checker/stats/rollup"
)

// BenchmarkFold folds 50,000 reports of a day and 60 builds, and encodes and decodes the
// rollups.
func BenchmarkFold(b *testing.B) {
	for name, instances := range map[string]int{"repeating instances": 5000, "distinct instances": 50_000} {
		b.Run(name, func(b *testing.B) {
			reports := make([]rollup.Report, 50_000)
			for i := range reports {
				heap := int64(1<<20) * int64(1+i%300)
				n := i % instances
				reports[i] = rollup.Report{At: start + int64(i), Build: int64(n % 60 * (n % 7) / 7), Hash: key.Hash(numbered(n)), Heap: &heap}
			}
			for b.Loop() {
				f := rollup.NewFold(63, nil)
				for _, r := range reports {
					f.Add(r)
				}
				for _, day := range f.Days() {
					data, err := day.AppendBinary(nil)
					if err == nil {
						err = new(rollup.Rollup).UnmarshalBinary(data)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
