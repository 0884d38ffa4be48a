package stats_test

import (
	"fmt"
	"testing"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats"
)

// yearOf500Builds are the figures of a year in which 100 versions were reported
// from five platforms, each on 200 days.
func yearOf500Builds() (catalog.Listing, *stats.Figures) {
	r := days("2025-04-01", "2026-03-31")
	l := catalog.Listing{}
	f := &stats.Figures{Range: r, Known: r}
	for i := range 100 {
		l.Releases = append(l.Releases, release(fmt.Sprintf("v1.%d.0", i), (r.From+stats.Day(3*i)).String()))
		for j, arch := range []string{"amd64", "arm64", "386", "arm", "s390x"} {
			b := stats.BuildFigures{Build: stats.Build{Version: fmt.Sprintf("1.%d.0", i), Platform: checker.Platform{OS: "linux", Arch: arch}}}
			fold := stats.NewFold(20, map[uint64]stats.Life{})
			for n := range 1000 {
				heap := int64(1<<20) * int64(1+n%300)
				fold.Add(stats.Report{At: r.From.Time().Unix(), Hash: key.Hash(numbered(i*10_000 + j*1000 + n)), Heap: &heap})
			}
			rollups := map[stats.Period]*stats.Rollup{}
			for slot, rollup := range fold.Rollups() {
				rollups[slot.Period] = rollup
			}
			b.Sum(stats.Range{From: r.From, To: r.From}, rollups)
			for d := range stats.Day(200) {
				b.Days = append(b.Days, stats.Count{Day: r.From + stats.Day(i) + d, IDs: 10, Reports: 100})
			}
			f.Builds = append(f.Builds, b)
		}
	}
	return l, f
}

// BenchmarkView answers all that can be asked about a year of 500 builds.
func BenchmarkView(b *testing.B) {
	l, f := yearOf500Builds()
	q := stats.Query{Range: f.Range}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			stats.NewView(l, q, f, f.Range.To)
		}
	})
	b.Run("tables", func(b *testing.B) {
		v := stats.NewView(l, q, f, f.Range.To)
		for b.Loop() {
			v.Tables()
		}
	})
	for _, name := range stats.TableNames {
		b.Run(name, func(b *testing.B) {
			v := stats.NewView(l, q, f, f.Range.To)
			for b.Loop() {
				v.Table(name)
			}
		})
	}
}

// BenchmarkFold folds 50,000 reports of a day, of 60 builds, and encodes what they
// come to.
func BenchmarkFold(b *testing.B) {
	for name, instances := range map[string]int{"instances that repeat": 5000, "every instance a new one": 50_000} {
		b.Run(name, func(b *testing.B) {
			reports := make([]stats.Report, 50_000)
			for i := range reports {
				heap := int64(1<<20) * int64(1+i%300)
				n := i % instances
				reports[i] = stats.Report{At: start + int64(i), Build: int64(n % 60 * (n % 7) / 7), Hash: key.Hash(numbered(n)), Heap: &heap}
			}
			for b.Loop() {
				f := stats.NewFold(63, nil)
				for _, r := range reports {
					f.Add(r)
				}
				for _, day := range f.Days() {
					form, err := day.AppendBinary(nil)
					if err == nil {
						err = new(stats.Rollup).UnmarshalBinary(form)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
